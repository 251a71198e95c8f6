"""What a reader has to know before the figures."""

from collections.abc import Iterator
from typing import Final

from simulator.experiment import CURVES
from simulator.intervals import short
from simulator.results import Results
from simulator.row import MS
from simulator.tables import table

_HEAD: Final = ("curve", "objective, ms", "lanes", "largest batch", "b_slo", "100 % load, rows/s", "simulated, s")

_METHOD: Final = """\
A discrete-event simulation: the same arrivals for every policy, integer nanoseconds, no clock; each run is a function of policy, trace and
seed. Ours is the shipped `penstock.batching.scheduler.Scheduler` with one setting: the objective and the largest batch. What the others
are, and where their rules are from, stands above each of them in `benchmarks/scheduler/simulator/baselines/`. Those that know no objective
get the largest batch that keeps it, which favours them; the tuned static gets the best of 64 settings for each workload and load.
"""

_READING: Final = """\
Run times have lognormal noise of sigma 0.1. The objective is about 4 l(16), for the CPU-like curve 50 ms, since batching hardly pays there.
100 % load is M mu(b_slo). A deadline equals the objective unless the workload says otherwise. `p99` counts what got no answer as infinitely
late (`lost`). A load is sustained if 99 % of all rows are answered within the objective; it is found to 2 % of load. The bound knows all
arrivals: all lanes are one server, each row costs what it costs in the cheapest batch, the earliest deadline goes first. Nobody can pass
it, and with batches nobody reaches it. The Azure and Twitter look-alikes are synthetic: a day's wave, spikes and swings.
"""


def introduction(results: Results) -> Iterator[str]:
    """Yield the head of the report."""
    plan = results.plan
    yield "# The scheduler beside others, simulated\n"
    yield f"Written by `{results.command}` in {results.seconds / 60:.0f} minutes with {results.jobs} processes.\n{_METHOD}"
    yield f"{plan.seeds} seeds for the main table, {plan.other_seeds} for the rest; 95 % bootstrap intervals. The first fifth of each run"
    yield "is not counted.\n"
    yield table(_HEAD, [_row(results, name) for name in CURVES])
    yield f"\n{_READING}"


def _row(results: Results, name: str) -> tuple[object, ...]:
    curve = CURVES[name]
    horizon_s = results.plan.horizon_s(curve)
    return name, f"{curve.slo_ns / MS:g}", curve.lanes, curve.max_rows, curve.best_rows, short(curve.capacity), f"{horizon_s:.3g}"
