"""The way in: carries a plan out and returns what was measured."""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import reduce
from typing import Final

from penstock import __version__
from penstock.bench.arrivals import Closed
from penstock.bench.cpu import cpu_s
from penstock.bench.latency import Latencies
from penstock.bench.loops import share_of
from penstock.bench.machine import this_machine
from penstock.bench.messages import Job, Progress
from penstock.bench.payloads import bodies_of
from penstock.bench.plan import Plan
from penstock.bench.result import Result, Round, added, figures_of, round_of
from penstock.bench.workers import Watch, Workers
from penstock.domain.clock import NS_PER_S, monotonic

LEAST_SENT: Final = 0.98
"""Of the requests that are due, how many must be sent for a run to say anything."""
MOST_BUSY: Final = 0.9
"""How much of a core a process that asks may use: one that is busier is slow itself, and its figures are its own."""

Measure = Callable[[Watch], Round]
"""Measures one round, which blocks."""

_HEAD_START_NS: Final = 50_000_000
_MOST_PROCESSES: Final = 8


def ignore(progress: Progress) -> None:
    """Watch nothing."""


def run(plan: Plan, watch: Watch = ignore) -> Result:
    """Carry the plan out and return what was measured.

    Blocks for as long as that takes, and calls `watch` a few times a second. Raises `CannotMeasure` if nobody listens,
    the model does not exist or the payload does not fit it.
    """
    with measuring(plan, bodies_of(plan.target, plan.payload)) as measure:
        return result_of(plan, [measure(watch) for _ in range(plan.rounds)])


@contextmanager
def measuring(plan: Plan, bodies: Sequence[bytes]) -> Iterator[Measure]:
    """Yield what measures one round of the plan, with bodies that are made already.

    The processes that ask, and their connections, last from the first round to the last. Raises `CannotMeasure` if nobody
    listens.
    """
    with asyncio.Runner() as runner:
        workers = runner.run(Workers.start(_jobs(plan, bodies)))
        try:
            yield lambda watch: runner.run(_round(plan, workers, watch))
        finally:
            runner.run(workers.close())


def result_of(plan: Plan, rounds: Sequence[Round]) -> Result:
    """Return the result of rounds that were measured; thresholds and comparisons are added by those who know them."""
    total = reduce(added, rounds)
    return Result(
        penstock=__version__,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=this_machine(),
        plan=plan,
        figures=figures_of(total),
        histogram=Latencies(total.latencies_us).encode(),
        rounds=tuple(rounds),
        invalid=tuple(doubts(total)),
    )


def doubts(measured: Round) -> list[str]:
    """Return why the figures of a round say nothing about the server."""
    found = []
    if measured.sent < LEAST_SENT * measured.due:
        share = measured.sent / measured.due
        found.append(
            f"{share:.1%} of the requests that were due were sent; at least {LEAST_SENT:.0%} must be, or the generator is measured"
        )
    if not (measured.due or measured.succeeded or measured.failed):
        found.append("no request was due in the time that was measured")
    busiest = max((generator.cpu_share for generator in measured.generators), default=0.0)
    if busiest > MOST_BUSY:
        found.append(f"the generator was busy for {busiest:.0%} of the time in one of its processes; give it more of them: --processes")
    return found


async def _round(plan: Plan, workers: Workers, watch: Watch) -> Round:
    start_ns = monotonic() + _HEAD_START_NS
    reports, cpu = await asyncio.gather(workers.round(start_ns, watch), _server_cpu_s(plan, start_ns))
    return round_of(reports, plan, cpu)


def _jobs(plan: Plan, bodies: Sequence[bytes]) -> list[Job]:
    shares = processes_of(plan)
    return [
        Job(
            target=plan.target,
            load=plan.load,
            bodies=tuple(bodies),
            warmup_s=plan.warmup_s,
            duration_s=plan.duration_s,
            share=share,
            shares=shares,
            max_outstanding=share_of(plan.max_outstanding, share, shares),
        )
        for share in range(shares)
    ]


def processes_of(plan: Plan) -> int:
    """Return how many processes ask: half the cores, so that a server beside them has the other half."""
    wanted = plan.processes or max(1, min(_MOST_PROCESSES, len(os.sched_getaffinity(0)) // 2))
    most = plan.load.concurrency if isinstance(plan.load, Closed) else plan.max_outstanding
    return min(wanted, most)


async def _server_cpu_s(plan: Plan, start_ns: int) -> float | None:
    if not plan.target.pids:
        return None
    await _until(start_ns + round(plan.warmup_s * NS_PER_S))
    before = cpu_s(plan.target.pids)
    await _until(start_ns + round(plan.span_s * NS_PER_S))
    return cpu_s(plan.target.pids) - before


async def _until(moment_ns: int) -> None:
    await asyncio.sleep((moment_ns - monotonic()) / NS_PER_S)
