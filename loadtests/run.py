"""Runs load scenarios: `python loadtests/run.py [--scale 0.2] [SCENARIO.toml]...`, by default all in `scenarios/`.

Each scenario has a server of its own. Its streams ask in an open loop, as `penstock bench` does, and are judged by its
thresholds; then the server's ledger has to balance. All of them together take a minute and a half.

Exit code: 0 all limits kept, 1 a limit broken, 2 a scenario that cannot be read or asked, 3 an invalid measurement, since
the generator itself did not keep up.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final, NamedTuple

from ledger import imbalance, received
from scenario import Phase, Scenario, Stream, read, scaled
from scenario_server import Server, serving
from slow_clients import SlowClients

from penstock.bench.gate import BROKEN, INVALID, KEPT, Gate, carry_out
from penstock.bench.payloads import bodies_of
from penstock.bench.plan import CannotMeasure, Payload, Plan, Target
from penstock.bench.report.text import aligned, measured_in_words, milliseconds, remarks
from penstock.bench.result import Result
from penstock.bench.run import ignore
from penstock.bench.workers import Watch

UNREADABLE: Final = 2
_HEAD: Final = ("phase", "stream", "load", "sent", "failed", "p50", "p99", "")
_VERDICTS: Final = {KEPT: "ok", BROKEN: "BROKEN", INVALID: "INVALID"}


class Judged(NamedTuple):
    """One stream of one phase, and what came of it."""

    phase: Phase
    stream: Stream
    result: Result
    cut_off: int
    """How many slow clients beside it the server has cut off."""

    @property
    def broken(self) -> list[str]:
        """The limits that were not kept, in words."""
        found = [f"{one.threshold}: measured {measured_in_words(one)}" for one in self.result.verdicts if not one.kept]
        if self.stream.refusals is not None:
            surprises = (failure.kind for failure in self.result.total.failures if failure.kind not in self.stream.refusals)
            found += [f"{kind}: only {', '.join(self.stream.refusals)} may refuse" for kind in surprises]
        if self.cut_off < self.phase.least_cut_off:
            found.append(f"{self.cut_off} slow clients were cut off, not {self.phase.least_cut_off}")
        return found

    @property
    def code(self) -> int:
        """The verdict; of an invalid measurement nothing else can be said."""
        return INVALID if self.result.invalid else BROKEN if self.broken else KEPT

    @property
    def row(self) -> tuple[str, ...]:
        """Its line of the table."""
        figures, asked = self.result.figures, f"{self.stream.model} {self.stream.protocol}"
        latencies = milliseconds(figures.p50_ms), milliseconds(figures.p99_ms)
        shares = f"{figures.rate:.1%}", f"{figures.error_rate:.2%}"
        return self.phase.name, asked, self.stream.load_in_words, *shares, *latencies, _VERDICTS[self.code]

    @property
    def notes(self) -> Iterator[str]:
        """What a reader should know beside the line."""
        name = f"{self.phase.name}, {self.stream.model} {self.stream.protocol}"
        yield from (f"{name}: {note}" for note in (*(f"BROKEN: {limit}" for limit in self.broken), *remarks(self.result)))


def run(scenario: Scenario) -> int:
    """Run one scenario and print what it shows; returns the exit code. Raises `CannotMeasure` if it cannot be asked."""
    with serving(scenario) as server:
        judged = [one for phase in scenario.phase for one in _phase(phase, server)]
        wrong = _at_rest(server)
        asked = 0 if wrong else received(server)
    print("\n".join(aligned([_HEAD, *(one.row for one in judged)])))
    notes = [*(note for one in judged for note in one.notes), wrong or f"the ledger balances over {asked:,} predictions"]
    print("".join(f"  - {note}\n" for note in notes), flush=True)
    return max(BROKEN if wrong else KEPT, *(one.code for one in judged))


def _phase(phase: Phase, server: Server) -> list[Judged]:
    """Run the streams of a phase at the same time, each from processes of its own."""
    plans = [stream.plan(server.http, server.grpc, warmup_s=phase.warmup_s, duration_s=phase.duration_s) for stream in phase.stream]
    with _slow_clients(phase, server) as slow, ThreadPoolExecutor(len(plans)) as pool:
        results = list(pool.map(_measured, plans, phase.stream))
    return [Judged(phase, stream, result, slow.cut_off) for stream, result in zip(phase.stream, results, strict=True)]


def _slow_clients(phase: Phase, server: Server) -> SlowClients:
    """Return the slow clients of a phase, who ask the first stream's model."""
    target, payload = Target(server.http, phase.stream[0].model), Payload(shapes=phase.stream[0].shapes)
    return SlowClients(server.http, bodies_of(target, payload)[0] if phase.slow_clients else b"", phase.slow_clients)


def _measured(plan: Plan, stream: Stream) -> Result:
    return carry_out(Gate(plan, stream.limits()), _unwatched)


def _unwatched(title: str, span_s: float) -> AbstractContextManager[Watch]:
    del title, span_s
    return nullcontext(ignore)


def _at_rest(server: Server) -> str:
    """Return what is wrong with a server that has been asked, empty if nothing is."""
    try:
        return imbalance(server)
    except OSError as error:
        return f"BROKEN: the server does not tell its metrics: {error}\n{server.last_words()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios one after the other; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scenarios", nargs="*", type=Path, default=sorted((Path(__file__).parent / "scenarios").glob("*.toml")))
    parser.add_argument("--scale", type=float, default=1.0, help="makes all phases longer or shorter (default: 1)")
    chosen = parser.parse_args(arguments)
    codes = [KEPT]
    try:
        scenarios = {path.stem: scaled(read(path), chosen.scale) for path in chosen.scenarios}
        for name, scenario in scenarios.items():
            print(f"{name}: {scenario.about}", flush=True)
            codes.append(run(scenario))
    except (ValueError, CannotMeasure) as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
