"""The latency model: what is expected of a run, from warm-up and from runs under load."""

import random
from collections.abc import Mapping

import pytest

from penstock.batching.latency import LatencyModel, grid_size
from penstock.batching.line_fit import Line, Point, fit_line, never_falling
from penstock.domain.clock import NS_PER_MS, NS_PER_S

LINEAR = {rows: (4 * NS_PER_MS + rows * NS_PER_MS // 10) for rows in (1, 2, 4, 8, 16, 32, 64)}


def learnt(times_ns: Mapping[int, int], runs: int = 8) -> LatencyModel:
    """Return a model that has seen each size so often."""
    model = LatencyModel(times_ns)
    for _ in range(runs):
        for rows, ns in times_ns.items():
            model.observe(rows, ns, 0)
    return model


def test_nothing_is_expected_of_a_model_never_run() -> None:
    """An unknown speed refuses and limits nobody."""
    model = LatencyModel()

    assert (model.known, model.cold, model.expect(8), model.bound(8), model.best_rows(64)) == (False, True, 0, 0, 64)


def test_first_run_makes_the_model_known() -> None:
    """One observed run says something about all sizes: half of it is taken as fixed cost."""
    model = LatencyModel()

    model.observe(1, 1000, 0)

    assert model.known
    assert model.expect(1) == 1000
    assert 1000 < model.expect(8) < 8000


def test_measured_sizes_are_expected_as_measured_and_others_between_them() -> None:
    """The table wins over the line."""
    model = learnt({1: 1000, 4: 9000, 8: 10_000})

    assert [model.expect(rows) for rows in (1, 4, 6, 8)] == [1000, 9000, 9500, 10_000]


def test_sizes_beyond_the_table_follow_the_line() -> None:
    """A linear model is extrapolated exactly."""
    model = learnt({rows: ns for rows, ns in LINEAR.items() if rows <= 16})

    assert model.expect(64) == pytest.approx(LINEAR[64], rel=0.01)


def test_expectation_never_falls_with_size() -> None:
    """A large batch that was measured as faster than a small one shares its time."""
    model = learnt({1: 5000, 2: 3000, 4: 8000})

    assert model.expect(1) == model.expect(2) == 4000
    assert model.expect(3) <= model.expect(4) == 8000


def test_steady_load_does_not_confuse_fixed_and_variable_cost() -> None:
    """Thousands of runs of one size leave the others' memory alone: the fit stays identified."""
    model = learnt(LINEAR)

    for _ in range(5000):
        model.observe(8, LINEAR[8], NS_PER_S)

    assert model.line.alpha_ns == pytest.approx(4 * NS_PER_MS, rel=0.05)
    assert model.line.beta_ns == pytest.approx(NS_PER_MS / 10, rel=0.05)
    assert model.batchability == pytest.approx(4 / 4.1, rel=0.01)


def test_stragglers_do_not_move_the_expectation() -> None:
    """One run in twenty that takes five times as long is no reason to expect that of all."""
    model, source = learnt(LINEAR), random.Random(1)

    for number in range(1000):
        rows = source.choice(list(LINEAR))
        model.observe(rows, LINEAR[rows] * (5 if number % 20 == 0 else 1), 0)

    assert model.expect(8) == pytest.approx(LINEAR[8], rel=0.02)
    assert model.drifts == 0


def test_bound_holds_for_nineteen_of_twenty_runs() -> None:
    """The spread is the 95 % quantile of actual over expected."""
    model, source = learnt(LINEAR), random.Random(2)

    above = 0
    for number in range(4000):
        rows = source.choice(list(LINEAR))
        ns = int(LINEAR[rows] * source.lognormvariate(0, 0.1))
        above += number >= 1000 and ns > model.bound(rows)
        model.observe(rows, ns, 0)

    assert 0.03 < above / 3000 < 0.07


def test_device_that_becomes_half_as_fast_is_noticed_within_forty_runs() -> None:
    """All sizes move at once, those too that the present load does not use."""
    model = learnt(LINEAR)

    for _ in range(40):
        model.observe(8, 2 * LINEAR[8], 0)

    assert model.drifts >= 1
    assert model.expect(8) == pytest.approx(2 * LINEAR[8], rel=0.05)
    assert model.expect(64) == pytest.approx(2 * LINEAR[64], rel=0.3)


def test_sizes_that_the_load_does_not_use_follow_those_that_it_does() -> None:
    """Warm-up shows the shape of the curve; runs beside other work show how fast the device is now."""
    model = LatencyModel({1: 1000, 8: 2000, 64: 9000})

    for _ in range(8):
        model.observe(8, 3000, 0)

    assert (model.expect(1), model.expect(8), model.expect(64)) == (1500, 3000, 13_500)


def test_size_not_used_for_long_follows_the_others_again() -> None:
    """What it took under another load is no measure any more, and no walk leads away from its shape."""
    model = LatencyModel({1: 1000, 64: 9000})
    for _ in range(40):
        model.observe(64, 36_000, 0)

    for _ in range(400):
        model.observe(1, 1000, 0)

    assert model.expect(64) == 9000


def test_first_run_of_a_new_size_is_not_counted() -> None:
    """It allocates, and some providers choose their algorithms in it."""
    model = learnt({1: 1000})

    model.observe(64, 10**9, 0)
    assert model.expect(64) < 10**6
    model.observe(64, 5000, 0)

    assert model.expect(64) == 5000


@pytest.mark.parametrize(
    ("times_ns", "best"),
    [
        pytest.param(LINEAR, 64, id="high-fixed-cost"),
        pytest.param({rows: 20 + 2000 * rows for rows in (1, 2, 4, 8, 16)}, 1, id="batching-pays-nothing"),
        pytest.param({1: 207, 2: 600, 10: 3320}, 1, id="worse-than-linear"),
        pytest.param({1: 1000, 2: 1000, 4: 1000, 8: 2000, 16: 4000, 32: 8000, 64: 16_000}, 4, id="flat-from-the-knee"),
    ],
)
def test_best_rows_is_the_knee(times_ns: Mapping[int, int], best: int) -> None:
    """The smallest batch close to the highest throughput; 1 where batching gains nothing."""
    assert learnt(times_ns).best_rows(64) == best


def test_rows_within_a_budget() -> None:
    """So many rows are expected to keep it, one more row would not."""
    model = learnt(LINEAR)

    rows = model.rows_within(8 * NS_PER_MS, 64)

    assert model.expect(rows) <= 8 * NS_PER_MS < model.expect(rows + 1)
    assert model.rows_within(NS_PER_MS, 64) == 0


@pytest.mark.parametrize(("rows", "size"), [(0, 1), (1, 1), (3, 3), (4, 4), (5, 6), (7, 8), (9, 12), (13, 16), (17, 24), (100, 128)])
def test_grid_sizes_are_half_an_octave_apart(rows: int, size: int) -> None:
    """A number of rows counts for the next size up."""
    assert grid_size(rows) == size


def test_line_keeps_its_constraints() -> None:
    """No fixed cost below 0, no row below 1 ns, whatever was measured."""
    falling = fit_line([Point(1, 1000, 1), Point(10, 100, 1)])
    steep = fit_line([Point(1, 10, 1), Point(2, 1000, 1), Point(3, 2500, 1)])

    assert falling.beta_ns >= 1
    assert steep.alpha_ns == 0


def test_line_through_one_size_divides_it() -> None:
    """Points of one size cannot tell the two apart."""
    assert fit_line([Point(4, 800, 3), Point(4, 800, 1)]) == Line(400, 100)


def test_pooling_keeps_sorted_points_and_their_weighted_mean() -> None:
    """Neighbours that fall meet at their mean; others are left alone."""
    pooled = never_falling([Point(1, 10, 1), Point(2, 40, 1), Point(3, 10, 2), Point(4, 50, 1)])

    assert [(point.rows, point.ns) for point in pooled] == [(1, 10), (2, 20), (3, 20), (4, 50)]
