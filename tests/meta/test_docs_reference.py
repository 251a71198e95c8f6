"""The generated pages of the reference say what the code says."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from penstock.domain.errors import Bar
from penstock.telemetry.metrics import FAMILIES

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def test_generated_pages_match_the_code() -> None:
    """A change of settings or commands comes with its pages: run docs/generate.py."""
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_errors_that_leave_their_code_to_their_heirs_mean_nothing() -> None:
    """A caller who is turned away gets 401 or 403, and no fault of ours."""
    meanings = dict(re.findall(r"^\| `(\w+)` \| \d+ \| \w+ \| (.*) \| \w+ \|$", (REFERENCE / "errors.md").read_text("utf-8"), re.MULTILINE))

    assert meanings["INTERNAL"] == "A fault of Penstock; the log tells more under the request's id."
    assert all(meanings.values())


def test_each_path_has_a_row_and_none_has_two() -> None:
    """Of the admin listener, whose paths stand in the sources as they are."""
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "src" / "penstock" / "http").glob("*.py"))
    paths = {path.replace("{model}", "{m}").replace("{name}", "…") for path in re.findall(r'"(/admin/[^"]*[^"/])"', sources)}
    admin = (REFERENCE / "protocol.md").read_text("utf-8").split("## Admin listener")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([A-Z, ]+) \| (`/.*?) \|", admin, re.MULTILINE)
    told = Counter((method, path) for methods, cell in rows for method in methods.split(", ") for path in re.findall("`([^`]+)`", cell))

    assert [row for row, count in told.items() if count > 1] == []
    assert paths - {path for _, path in told} == set()


def test_each_reason_to_turn_a_caller_away_is_told() -> None:
    """A label that nobody explains helps nobody at night."""
    table = (ROOT / "docs" / "guides" / "access.md").read_text("utf-8").split("| `reason` | Meaning |")[1].split("\n\n")[0]

    assert set(re.findall(r"`(\w+)`", re.sub(r"\|[^|]*\|$", "", table, flags=re.MULTILINE))) == set(Bar)


def test_glossary_says_nothing_twice() -> None:
    """Each word stands in a paragraph of its own."""
    paragraphs = (ROOT / "docs" / "glossary.md").read_text("utf-8").split("\n\n")

    assert [paragraph for paragraph in paragraphs if len(re.findall(r"^\*\*", paragraph, re.MULTILINE)) > 1] == []


def test_each_label_of_a_metric_is_told() -> None:
    """Or somebody who asks what to sum by would have to read the code."""
    table = (REFERENCE / "metrics.md").read_text("utf-8").split("## Labels")[1].split("## Buckets")[0]

    assert {label for family in FAMILIES for label in family.labels} - set(re.findall(r"`(\w+)`", table)) == set()
