"""A rollout as a terminal shows it."""

import re
from typing import Any

import pytest

from penstock.cli.rollout_view import headline, lines_of, rollout_lines

STEP = {"number": 2, "of": 3, "weight": 5, "hold_s": 60, "served_s": 48, "left_s": 12, "waited_s": 7, "next_weight": 50}
SHARES = {"bad": 1, "of": 200, "low": 0.001, "high": 0.02}
REPORT: dict[str, Any] = {
    "model": "fraud",
    "phase": "HOLDING",
    "why": "the step of 1 % is passed",
    "arm": "challenger",
    "canary": "2",
    "stable": "1",
    "step": STEP,
    "started": 0,
    "changed": 0,
    "judged_since": 0,
    "pending": None,
    "gates": [
        {"gate": "errors", "finding": "open", "why": "", "canary": SHARES, "stable": SHARES | {"of": 0}, "evidence": 1.5, "needed": 800.0},
        {"gate": "drift", "finding": "passed", "why": "", "value": 0.125},
    ],
    "plan": {"steps": [{"weight": 1}, {"weight": 5}, {"weight": 50}]},
}


def test_of_a_rollout_that_is_over_only_the_end_is_told_beside_the_route() -> None:
    """Its gates say nothing about what answers now."""
    running, over = list(rollout_lines(REPORT)), list(rollout_lines(REPORT | {"phase": "ROLLED_BACK", "why": "errors"}))

    assert (len(running), running[0]) == (7, "rollout of fraud: version 2 beside 1, HOLDING at 5 %, step 2 of 3, 12 s left")
    assert (len(over), over[1]) == (2, "because: errors")


def test_state_steps_and_gates_are_shown() -> None:
    """What is known of a gate depends on its kind."""
    lines = list(lines_of(REPORT))

    assert lines[0] == "fraud: version 2 beside 1, HOLDING at 5 %, step 2 of 3, 12 s left"
    assert lines[1] == "because: the step of 1 % is passed"
    assert lines[2].startswith("steps: 1 % -> [5 %] -> 50 %; judged since ")
    assert re.split(r" {2,}", lines[5]) == ["errors", "open", "1/200 (0.10% to 2.00%)", "no requests", "1.5 of 800"]
    assert lines[6].split() == ["drift", "passed", "0.125"]


def test_what_could_not_be_done_yet_is_told() -> None:
    """Who aborts wants to know that traffic has not moved."""
    assert "not done yet, tried again every second: back to stable" in list(lines_of(REPORT | {"pending": "back_to_stable"}))


@pytest.mark.parametrize(
    ("phase", "told"),
    [("WAITING", "WAITING at 5 %, step 2 of 3, for 7 s"), ("PAUSED", "PAUSED at 5 %, step 2 of 3"), ("PROMOTED", "PROMOTED at ")],
)
def test_each_phase_is_told_in_its_own_words(phase: str, told: str) -> None:
    """The time that matters in it."""
    assert headline(REPORT | {"phase": phase}).startswith(told)
