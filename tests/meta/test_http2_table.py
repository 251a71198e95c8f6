"""docs/reference/http2.md names only tests that exist."""

import re
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
PAGE: Final = TESTS.parent / "docs" / "reference" / "http2.md"
ROWS: Final = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("| ") and "`test_" in line]


@pytest.mark.parametrize("row", ROWS, ids=[row[1].strip()[:30] for row in ROWS])
def test_tests_of_a_row_exist(row: list[str]) -> None:
    """Every name behind a file stands in that file, as a test or as a case of one."""
    for part in row[-2].split(";"):
        file, *names = re.findall(r"`([^`]+)`", part)
        (path,) = TESTS.rglob(file)
        text = path.read_text()
        for name in names:
            assert f"def {name}(" in text or f'"{name}"' in text, f"{file} has no {name}"


def test_every_section_has_a_row() -> None:
    """Of those that bind a server."""
    sections = {section.strip() for row in ROWS for section in row[1].split(",")}

    assert {"3.4", "4.2", "4.3", "5.1", "5.1.1", "5.1.2", "5.2", "5.4.1", "5.4.2", "6.1", "6.4", "6.5", "6.7", "6.8", "8.1.1"} <= sections
