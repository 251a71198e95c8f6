"""The choice of a plan, from tables made up for it."""

import random
from collections.abc import Callable

import pytest

from penstock.execution.sweep import Cell, Layout
from penstock.lifecycle.plan import Choice, choose

WIDE, MANY = Layout(1, 2), Layout(2, 1)
SIZES = (1, 2, 4, 8, 16, 32, 64)
NO_TARGET = 1e12


def cells(layout: Layout, ms_of: Callable[[int], float], sizes: tuple[int, ...] = SIZES) -> list[Cell]:
    """Return what a layout measures whose runs take so many milliseconds."""
    return [Cell(layout, rows, layout.lanes * rows * 1000 / ms_of(rows), int(ms_of(rows) * 1e6), 9) for rows in sizes]


def line(alpha_ms: float, beta_ms: float) -> Callable[[int], float]:
    """Return a run time with a fixed part and one for each row."""
    return lambda rows: alpha_ms + beta_ms * rows


def chosen(*tables: list[Cell], slo_ns: float = NO_TARGET) -> Choice:
    """Return the choice, with two lanes of one thread as the default."""
    return choose([cell for table in tables for cell in table], MANY, slo_ns)


def test_model_that_gains_from_batches_gets_large_ones() -> None:
    """Kappa 0.9: the rate rises up to the end, and the knee is where more rows only wait."""
    choice = chosen(cells(MANY, line(0.9, 0.1)))

    assert (choice.plan.batching, choice.plan.max_batch_rows) == ("adaptive", 64)
    assert choice.knee_rows == 64


def test_knee_is_the_smallest_size_near_the_highest_rate() -> None:
    """The rate of 16 rows is within 5 % of the highest; larger runs are not forbidden, for they do not lose."""
    choice = chosen(cells(MANY, line(0.5, 1.0)))

    assert (choice.knee_rows, choice.plan.max_batch_rows) == (16, 64)


def test_model_that_gains_nothing_is_not_batched() -> None:
    """Kappa 0.05: eight rows together are hardly faster than eight alone."""
    choice = chosen(cells(MANY, line(0.05, 0.95)))

    assert choice.plan.batching == "off"
    assert choice.knee_rows == 1


def test_model_that_suffers_from_batches_gets_none() -> None:
    """Super-linear: each row more makes all of them slower, so that long requests are split too."""
    choice = chosen(cells(MANY, lambda rows: float(rows**1.5), SIZES[:3]))

    assert (choice.plan.batching, choice.plan.max_batch_rows) == ("off", 1)


def test_sizes_beyond_an_optimum_are_left_out() -> None:
    """The rate rises up to eight rows and falls afterwards."""
    times = {1: 1.0, 2: 1.1, 4: 1.3, 8: 1.6, 16: 6.0, 32: 20.0}

    choice = chosen(cells(MANY, times.__getitem__, tuple(times)))

    assert (choice.knee_rows, choice.plan.max_batch_rows, choice.plan.batching) == (8, 8, "adaptive")


def test_layout_with_the_higher_rate_wins() -> None:
    """Whether that is the default or not."""
    slow, fast = line(2, 1), line(1, 0.4)

    assert chosen(cells(MANY, slow), cells(WIDE, fast)).plan.layout == WIDE
    assert chosen(cells(MANY, fast), cells(WIDE, slow)).plan.layout == MANY


@pytest.mark.parametrize(("percent", "layout"), [(-50, MANY), (0, MANY), (2.9, MANY), (3.5, WIDE)])
def test_default_is_left_only_for_something_clearly_better(percent: float, layout: Layout) -> None:
    """Less than 3 % is within what two measurements of one thing differ by."""
    base = cells(MANY, line(1, 1))
    other = [cell._replace(layout=WIDE, rows_per_s=cell.rows_per_s * (1 + percent / 100)) for cell in base]

    choice = chosen(other, base)

    assert choice.plan.layout == layout
    assert choice.default_rows_per_s == next(cell.rows_per_s for cell in base if cell.rows == 16)


@pytest.mark.parametrize("seed", range(20))
def test_noise_below_the_margin_never_leaves_the_default(seed: int) -> None:
    """Two layouts of the same speed, each measured 1 % off."""
    noise = random.Random(seed)
    tables = [
        [cell._replace(rows_per_s=cell.rows_per_s * noise.uniform(0.99, 1.01)) for cell in cells(layout, lambda rows: 8.0, (1,))]
        for layout in (MANY, WIDE)
    ]

    assert chosen(*tables).plan.layout == MANY


def test_target_bounds_the_run() -> None:
    """A row that has just missed a run waits for half of it on two lanes, then runs: 20 ms allow runs of 13 ms."""
    choice = chosen(cells(MANY, line(1, 1)), slo_ns=20e6)

    assert (choice.plan.max_batch_rows, choice.p50_ns) == (8, 9_000_000)


def test_target_decides_between_layouts() -> None:
    """The higher rate is worth nothing where its runs take too long."""
    steep, flat = cells(WIDE, line(0.5, 0.5)), cells(MANY, line(30, 0.1))

    assert chosen(steep, flat, slo_ns=20e6).plan.layout == WIDE
    assert chosen(steep, flat).plan.layout == MANY


def test_small_size_that_was_disturbed_does_not_count_against_the_target() -> None:
    """Runs of 64 rows keep it, so those of 8 do, whatever the measurement says."""
    table = [cell._replace(p50_ns=90_000_000) if cell.rows <= 8 else cell for cell in cells(MANY, line(10, 0.01))]

    assert chosen(table, slo_ns=20e6).plan.max_batch_rows == 64


@pytest.mark.parametrize("seed", range(50))
def test_any_table_has_a_plan(seed: int) -> None:
    """However noisy, ragged or slow."""
    noise = random.Random(seed)
    tables = [
        [cell._replace(p50_ns=noise.randint(1, 10**8), rows_per_s=noise.uniform(0.1, 1e6)) for cell in cells(layout, line(1, 1))][
            : noise.randint(1, 7)
        ]
        for layout in (WIDE, MANY)
    ]

    choice = chosen(*tables, slo_ns=noise.uniform(1, 10**8))

    assert 1 <= choice.plan.max_batch_rows <= 64
    assert choice.rows_per_s > 0


def test_target_that_no_run_keeps_leaves_single_rows() -> None:
    """The server serves what it can."""
    choice = chosen(cells(MANY, line(50, 10)), slo_ns=1e6)

    assert (choice.plan.max_batch_rows, choice.knee_rows) == (1, 1)


def test_one_size_alone_is_enough() -> None:
    """A model without a batch dimension still has lanes and threads."""
    choice = chosen(cells(WIDE, line(0, 1), (1,)), cells(MANY, line(0, 3), (1,)))

    assert choice.plan.layout == WIDE
    assert choice.plan.batching == "off"


def test_rate_of_single_rows_decides_where_rows_do_not_meet() -> None:
    """Batching is switched off by hand; long requests are run whole all the same."""
    wide, many = cells(WIDE, line(3, 0.01)), cells(MANY, line(4, 1))

    choice = choose([*wide, *many], MANY, NO_TARGET, together=False)

    assert (choice.plan.layout, choice.knee_rows, choice.plan.max_batch_rows) == (MANY, 1, 64)
    assert choose([*wide, *many], MANY, NO_TARGET).plan.layout == WIDE


def test_layout_that_was_not_reached_does_not_count() -> None:
    """The time may end before the default was measured."""
    assert chosen(cells(WIDE, line(1, 1))).plan.layout == WIDE


def test_nothing_measured_is_an_error() -> None:
    """There is no plan without a measurement."""
    with pytest.raises(ValueError, match="nothing"):
        chosen()
