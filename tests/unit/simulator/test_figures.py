"""Figures and verdicts mean what they say."""

import math

import pytest


def test_jain_is_one_for_equals_and_one_of_n_for_a_monopoly():
    """The two ends of the index."""
    from simulator.metrics import jain

    assert jain([3.0, 3.0, 3.0]) == pytest.approx(1.0)
    assert jain([1.0, 0.0, 0.0, 0.0]) == pytest.approx(0.25)


def test_interval_holds_the_mean_and_spreads_with_the_seeds():
    """Equal seeds leave no doubt, and an infinite one takes it all."""
    from simulator.intervals import interval

    assert interval([2.0, 2.0]) == (2.0, 2.0, 2.0)
    assert interval([1.0, 2.0, 3.0]).low < 2.0 < interval([1.0, 2.0, 3.0]).high
    assert math.isinf(interval([1.0, math.inf]).mean)


def test_lost_rows_count_as_infinitely_late(simulated):
    """A policy cannot improve its p99 by dropping."""
    from simulator.baselines.fixed import Alone
    from simulator.curves import GPU
    from simulator.metrics import figures

    seen = figures(simulated(Alone, GPU, load=1.0, horizon_s=0.5))
    assert math.isinf(seen.p99_ms)
    assert seen.share + seen.refused + seen.dropped + seen.late + seen.failed == pytest.approx(1.0)


def test_best_rows_keep_the_objective():
    """b_slo: one instance can take two turns within the objective, and super-linear models take rows one by one."""
    from simulator.experiment import CURVES

    assert CURVES["GPU-like"].best_rows == 64
    assert CURVES["super-linear"].best_rows == 1
    for curve in CURVES.values():
        turns = 2 if curve.shared else 1 + 1 / curve.lanes
        assert turns * curve.table[curve.best_rows] <= curve.slo_ns


def test_gates_name_the_rival_that_is_better():
    """A verdict of LOSES comes with who is better and by how much."""
    from simulator.catalogue import OURS, TUNED
    from simulator.experiment import Case, answer
    from simulator.gates import LOST, judged

    static = ((0.5, (64, 0)),)
    policies = {OURS: "no batching", "no batching": "no batching", TUNED: TUNED}
    cases = {name: [Case("GPU-like", "Poisson", policy, seed, 0.2, static) for seed in range(2)] for name, policy in policies.items()}
    lines = judged("GPU-like", "Poisson", {name: [answer(case) for case in each] for name, each in cases.items()})

    lost = {line.gate: line.rival for line in lines if line.verdict == LOST}
    assert lost["sustained load, %"] == TUNED


def test_chart_is_well_formed():
    """The plots are XML that a browser reads."""
    import xml.etree.ElementTree as ET

    from simulator.chart import Chart

    drawn = ET.fromstring(Chart("a < b", "ms", {"ours": [(0.5, 1.0), (1.0, math.inf)]}).svg())
    assert drawn.tag.endswith("svg")
