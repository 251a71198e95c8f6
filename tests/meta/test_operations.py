"""The page for those who run servers, and the policy, know all that there is: alerts, files, and nothing that is not."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
RULES = (ROOT / "docker" / "prometheus" / "penstock.rules.yml").read_text("utf-8")


def test_each_alert_has_a_section_that_says_what_to_do() -> None:
    """In the order of the rules, none for an alert that is gone; and more than a title."""
    sections = re.findall(r"^### (Penstock\w+)\n\n(.+?)(?=\n###|\Z)", PAGE, re.MULTILINE | re.DOTALL)

    assert [name for name, _ in sections] == re.findall(r"- alert: (\w+)", RULES)
    assert all(len(text.split()) > 20 for _, text in sections)


def test_each_place_in_the_state_directory_is_told() -> None:
    """Whatever the code puts there: a backup must not miss it."""
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "src" / "penstock").rglob("*.py"))
    folders = set(re.findall(r'state_dir / "([\w.]+)"', source))

    assert {"routes", "rollouts", "payloads"} <= folders
    for name in (*folders, "admin.token", "audit.jsonl", "payloads.key"):
        assert f"`{name}" in PAGE, name


def test_settings_that_the_page_names_exist() -> None:
    """Each is in the reference under its section."""
    settings = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    policy = (ROOT / "SECURITY.md").read_text("utf-8")
    named = {*re.findall(r"`(server|registry|payloads|telemetry)\.(\w+)`", PAGE), *re.findall(r"`(registry)\.(\w+)", policy)} - {
        ("payloads", "key")  # a file
    }

    assert named
    for section, key in named:
        table = re.search(rf"^## \[{section}\]$(.*?)(?=^## |\Z)", settings, re.MULTILINE | re.DOTALL)
        assert table is not None, section
        assert f"| `{key}` |" in table[1], (section, key)


def test_metrics_that_the_page_names_exist() -> None:
    """As the reference has them."""
    reference = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")

    assert [name for name in re.findall(r"`(penstock_\w+)`", PAGE) if f"`{name}`" not in reference] == []
