"""docs/reference/faults.md has a row for every fault and every bad input, and every test that it names exists."""

import re
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
PAGE: Final = TESTS.parent / "docs" / "reference" / "faults.md"
ROWS: Final = [line.split(" | ") for line in PAGE.read_text().splitlines() if re.match(r"\| ([FB]\d\d|[a-z])", line)]
NUMBERS: Final = [row[0].removeprefix("| ") for row in ROWS if re.match(r"\| [FB]\d\d$", row[0])]


def test_every_fault_and_every_bad_input_has_a_row() -> None:
    """F01 to F57 and B01 to B97, in order."""
    assert [f"F{number:02}" for number in range(1, 58)] + [f"B{number:02}" for number in range(1, 98)] == NUMBERS


@pytest.mark.parametrize("row", ROWS, ids=[row[0].removeprefix("| ")[:30] for row in ROWS])
def test_tests_of_a_row_exist(row: list[str]) -> None:
    """At least one, and each in the file before it."""
    file, named = "", 0
    for name in re.findall(r"`(test_\w+(?:\.py)?)`", row[-1]):
        if name.endswith(".py"):
            file = name
            continue
        texts = [path.read_text() for path in TESTS.rglob(file)]
        assert any(f"def {name}(" in text for text in texts), f"{file} has no {name}"
        named += 1
    assert named, "no test is named"


@pytest.mark.parametrize("number", [number for number in NUMBERS if number.startswith("B")])
def test_bad_input_is_asked_by_the_contract(number: str) -> None:
    """There is a case of that number, whose fixtures look afterwards whether the server is well."""
    asked = [path for path in (TESTS / "contract").glob("test_bad_input_*.py") if re.search(rf"\b{number}\b", path.read_text())]

    assert asked
