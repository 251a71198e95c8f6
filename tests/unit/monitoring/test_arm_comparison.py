"""Equal arms lie no distance apart, whatever chance does; others do."""

import numpy as np
import pytest

from penstock.monitoring.arm_comparison import LEAST_ROWS, ArmComparison, distance


def outputs(seed: int, rows: int, kind: str = "") -> np.ndarray:
    """Return rows of four outputs: normal, skewed, a class, often missing; the first may be of another kind."""
    source = np.random.default_rng(seed)
    values = source.standard_normal((rows, 4))
    values[:, 1] = np.exp(values[:, 1])
    values[:, 2] = source.integers(0, 3, rows)
    values[source.random(rows) < 0.2, 3] = np.nan
    if kind == "shifted":
        values[:, 0] += 0.7
    elif kind == "constant":
        values[:, 0] = 3.0
    elif kind == "another constant":
        values[:, 0] = 4.0
    elif kind == "missing":
        values[:, 0] = np.nan
    return values


NAMES = ["a", "b", "c", "d"]


@pytest.mark.parametrize("rows", [(500, 500), (4000, 500), (500, 4000)])
def test_equal_arms_lie_no_distance_apart(rows: tuple[int, int]) -> None:
    """Forty windows of each size, and not one by chance."""
    found = [distance(NAMES, outputs(2 * seed, rows[0]), outputs(2 * seed + 1, rows[1])) for seed in range(40)]

    assert max(found) == 0


@pytest.mark.slow
def test_of_a_thousand_windows_of_equal_arms_none_reaches_the_convention() -> None:
    """0.2 is where a population stability index asks for action."""
    found = [distance(NAMES, outputs(2 * seed, 500), outputs(2 * seed + 1, 500)) for seed in range(1000)]

    assert max(found) < 0.2


@pytest.mark.parametrize(
    ("stable", "canary"),
    [("", "shifted"), ("constant", "another constant"), ("", "missing"), ("missing", ""), ("", "constant")],
)
def test_other_answers_lie_far_apart(stable: str, canary: str) -> None:
    """Also where one arm always answers the same, or nothing."""
    assert distance(NAMES, outputs(1, 1000, stable), outputs(2, 1000, canary)) > 0.2


def test_window_ends_once_somebody_has_asked_and_both_arms_have_rows_enough() -> None:
    """Each window is told once; the next one begins empty."""
    comparison = ArmComparison(NAMES)
    comparison.add(0, outputs(1, 5000))
    comparison.add(1, outputs(2, LEAST_ROWS, "shifted"))
    assert comparison.ask() is None

    comparison.add(1, outputs(3, 1, "shifted"))

    assert (found := comparison.ask()) is not None
    assert found > 0.2
    comparison.add(1, outputs(4, 5000))
    comparison.add(0, outputs(5, LEAST_ROWS - 1))
    assert comparison.ask() is None
    comparison.add(0, outputs(6, 1))
    assert comparison.ask() == 0


def test_rows_of_the_whole_window_count_not_only_the_first_or_the_last() -> None:
    """The stable arm often has a hundred times as many as are kept; both arms must be of the same time."""
    comparison = ArmComparison(["a"])
    rising = np.linspace(0, 1, 40_000)[:, None]
    for part in np.array_split(rising, 40):
        comparison.add(0, part)
    for part in np.array_split(rising[::50], 40):
        comparison.add(1, part)
    comparison.ask()
    comparison.add(1, rising[:1])

    assert comparison.ask() == 0
