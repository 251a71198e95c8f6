"""docs/reference/conformance.md has a row for every case, and every test that it names exists."""

import re
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "reference" / "conformance.md"
CASES: Final = [f"C{number}" for number in range(1, 109)]
WITH_CLIENTS: Final = {"C93", "C94", "C95"}
"""Shown by the suite that runs the unmodified clients."""
_ROW: Final = re.compile(r"\| (C\d+) \| .* \| ([^|]+) \| ([^|]+) \|")
_NODE: Final = re.compile(r"(test_\w+\.py)::\w+\[(C\d+[\w-]*)\]")


class Row(NamedTuple):
    """One case of the page."""

    result: str
    shown: dict[str, set[str]]
    """Test ids by file."""


@cache
def rows() -> dict[str, Row]:
    """Return the page's rows by case."""
    found = [match.groups() for line in PAGE.read_text().splitlines() if (match := _ROW.fullmatch(line))]
    assert len(found) == len({case for case, _, _ in found}), "a case has two rows"
    return {case: Row(result, _shown(text)) for case, result, text in found}


def _shown(text: str) -> dict[str, set[str]]:
    files = (part.split("`")[1::2] for part in text.split(";"))
    return {file: set(ids) for file, *ids in files}


@cache
def collected() -> dict[str, set[str]]:
    """Return the ids of the conformance cases that pytest finds, by file."""
    options = ["-o", "addopts=", "--collect-only", "--quiet", "--import-mode=importlib", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, "tests/contract"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    ids: dict[str, set[str]] = defaultdict(set)
    for file, name in _NODE.findall(result.stdout):
        ids[file].add(name)
    return ids


def test_every_case_has_a_row() -> None:
    """C1 to C108, in order."""
    assert list(rows()) == CASES


def test_every_result_is_a_pass_or_a_deviation_with_its_reason() -> None:
    """Nothing else is a result."""
    odd = {case: row.result for case, row in rows().items() if not re.match(r"pass$|deliberate: .{20}", row.result)}
    assert odd == {}


@pytest.mark.parametrize("case", [case for case in CASES if case not in WITH_CLIENTS])
def test_tests_that_a_row_names_exist(case: str) -> None:
    """Each id is a test of that file, or the beginning of several such as C55-http-INT8, and belongs to the case."""
    shown = rows()[case].shown

    assert any(shown.values()), "no test is named"
    for file, ids in shown.items():
        for name in ids:
            assert name == case or name.startswith(f"{case}-")
            assert any(test == name or test.startswith(f"{name}-") for test in collected()[file]), name


def test_every_conformance_test_belongs_to_a_case() -> None:
    """No id is misspelt."""
    assert {name.partition("-")[0] for ids in collected().values() for name in ids} <= set(CASES)
