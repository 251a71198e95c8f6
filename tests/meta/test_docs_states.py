"""docs/architecture.md draws what the code has: the life of a version, and the layers."""

import re
import tomllib
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

import pytest

from penstock.lifecycle.states import NEXT
from penstock.traffic.rollout import NEXT as ROLLOUT_NEXT

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


TABLES = pytest.mark.parametrize(
    ("title", "following"), [("The life of a version", NEXT), ("The life of a rollout", ROLLOUT_NEXT)], ids=["version", "rollout"]
)


def section(title: str) -> str:
    """Return the text of a section of the page, up to the next heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert found, f"docs/architecture.md has no section {title!r}"
    return found[1]


@TABLES
def test_state_table_matches_the_code(title: str, following: dict[StrEnum, frozenset[StrEnum]]) -> None:
    """The table lists every state in the order of the code, with the states that may follow."""
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", section(title), re.MULTILINE)

    table = {state: set(re.findall(r"`(\w+)`", after)) for state, after in rows}

    assert table == {state.value: {step.value for step in steps} for state, steps in following.items()}
    assert [state for state, _ in rows] == [state.value for state in following]


@TABLES
def test_drawn_states_match_the_code(title: str, following: dict[StrEnum, frozenset[StrEnum]]) -> None:
    """The drawing names every state, and each arrow on one line is a legal step."""
    drawing = re.search(r"```text\n(.*?)```", section(title), re.DOTALL)
    assert drawing is not None

    chains = [re.findall(r"[A-Z_]{3,}", line) for line in drawing[1].splitlines()]

    assert {state for chain in chains for state in chain} == {state.value for state in following}
    legal = {(state.value, step.value) for state, steps in following.items() for step in steps}
    assert {step for chain in chains for step in pairwise(chain)} <= legal


def test_drawn_layers_match_the_contract() -> None:
    """The layers are drawn as the contract in pyproject.toml has them, and each has its row in the table."""
    rooms = section("The rooms")
    drawing = re.search(r"```text\n(.*?)```", rooms, re.DOTALL)
    assert drawing is not None
    settings = tomllib.loads((PAGE.parents[1] / "pyproject.toml").read_text("utf-8"))
    contract = next(c for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers")

    assert drawing[1].splitlines() == contract["layers"]
    packages = {name for layer in contract["layers"] for name in layer.split(" | ")}
    assert set(re.findall(r"^\| \[`(\w+)(?:/|\.py)`\]", rooms, re.MULTILINE)) == packages
