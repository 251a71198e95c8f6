"""Asks whether the gate of `penstock bench --baseline` blames equal servers, and sees one that is 10 % slower.

Starts three servers of one registry: two alike, and one that burns 10 % more CPU for each prediction. Compares them in
interleaved rounds, as often as asked, and prints how many of the comparisons failed: of equal servers less than 2 in 50
may, of the slowed one at least 45 in 50 must, judged on rate or CPU per request.

Run as `python benchmarks/compare_gate.py --trials 50`; takes about two minutes for each trial. On two noisy cores 40 rounds told 38 of 50
slowdowns, and blamed no equal server; twice as many rounds halve what chance adds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import msgspec
from harness import ROOT, load_file

from penstock.bench.arrivals import Closed
from penstock.bench.gate import Gate, carry_out
from penstock.bench.plan import Plan, Target
from penstock.bench.result import Comparison
from penstock.bench.run import ignore, run

SLOWER: Final = 0.10
JUDGED: Final = {"rps", "cpu_us"}
CONCURRENCY: Final = 16
ROUNDS: Final = 80
ROUND_S: Final = 0.25
_START_S: Final = 60
_MANY_TURNS: Final = 100_000


class Server(NamedTuple):
    """A server that is up."""

    pid: int
    address: str

    @property
    def target(self) -> Target:
        """How it is asked."""
        return Target(self.address, "mlp", pids=(self.pid,))


def plan_of(server: Server, rounds: int = ROUNDS, round_s: float = ROUND_S) -> Plan:
    """Return the rounds of one trial."""
    return Plan(target=server.target, load=Closed(CONCURRENCY), duration_s=round_s, warmup_s=round_s / 5, rounds=rounds)


def compare(server: Server, baseline: Server, rounds: int) -> Comparison:
    """Return the comparison of two servers."""
    result = carry_out(Gate(plan_of(server, rounds), baseline=baseline.target), lambda _title, _seconds: nullcontext(ignore))
    if result.comparison is None:
        raise RuntimeError("nothing was compared")
    return result.comparison


@contextmanager
def serving(registry: Path, burn_us: float = 0.0) -> Iterator[Server]:
    """Serve the registry in a process that burns so much CPU for each prediction besides."""
    with tempfile.TemporaryDirectory(prefix="penstock-gate-") as home, ExitStack() as stack:
        ready, log = Path(home, "ready.json"), stack.enter_context(Path(home, "log").open("wb"))
        ports = [part for name in ("http", "grpc", "admin") for part in (f"--{name}-port", "0")]
        command = [sys.executable, __file__, "--serve", str(burn_us), "serve", "--registry", str(registry), *ports]
        command += ["--ready-file", str(ready), "--set", f"server.state_dir={home}/state"]
        interpreted = {**os.environ, "PYTHONPATH": str(ROOT / "src")}  # where it is compiled, nothing can be planted
        process = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=log, cwd=home, env=interpreted))
        stack.callback(process.terminate)
        until = time.monotonic() + _START_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the server did not start:\n{Path(home, 'log').read_text('utf-8')}")
            time.sleep(0.02)
        yield Server(process.pid, msgspec.json.decode(ready.read_bytes())["addresses"]["http"])


def serve(burn_us: float, arguments: list[str]) -> None:
    """Be a server that is slower by so much for each prediction."""
    from penstock.cli.main import commands  # noqa: PLC0415 - in the server's process alone
    from penstock.inference.predictor import Predictor  # noqa: PLC0415 - in the server's process alone

    submit, turns = Predictor.submit, _turns_in(burn_us)

    def slowed(predictor: Predictor, *given: object) -> object:
        for _ in range(turns):
            pass
        return submit(predictor, *given)  # type: ignore[arg-type]

    if turns:
        Predictor.submit = slowed  # type: ignore[assignment,method-assign]
    commands(arguments, prog_name="penstock")


def _turns_in(burn_us: float) -> int:
    # a clock of CPU time is a call of the system, a microsecond by itself: too coarse to burn ten by
    costs = []
    for _ in range(20):
        before = time.thread_time_ns()
        for _ in range(_MANY_TURNS):
            pass
        costs.append((time.thread_time_ns() - before) / 1000 / _MANY_TURNS)
    return round(burn_us / median(costs))


def failed(comparison: Comparison) -> bool:
    """Return whether the slowdown was seen, on rate or CPU per request."""
    return any(change.worse for change in comparison.changes if change.figure in JUDGED)


def main() -> int:
    """Carry the trials out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    arguments, rest = parser.parse_known_args()
    if arguments.serve is not None:
        serve(arguments.serve, rest)
        return 0
    with tempfile.TemporaryDirectory(prefix="penstock-gate-") as name, ExitStack() as stack:
        registry = Path(name)
        load_file("build", ROOT / "tests" / "models" / "build.py").write_mlp(registry)
        plain, alike = (stack.enter_context(serving(registry)) for _ in range(2))
        cost_us = run(plan_of(plain, rounds=4, round_s=1.0)).figures.cpu_us or 0.0
        slower = stack.enter_context(serving(registry, cost_us * SLOWER))
        print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; a request costs {cost_us:.1f} us of CPU")
        equal, slowed = _trials(arguments.trials, arguments.rounds, plain, alike, slower)
    print(f"equal servers: {equal} of {arguments.trials} comparisons failed; 10 % slower: {slowed} of {arguments.trials}")
    return 0


def _trials(trials: int, rounds: int, plain: Server, alike: Server, slower: Server) -> tuple[int, int]:
    equal = slowed = 0
    for number in range(trials):
        same, other = compare(alike, plain, rounds), compare(slower, plain, rounds)
        equal += same.worse
        slowed += failed(other)
        print(f"{number + 1:>3}  equal: {_in_words(same)}   slower: {_in_words(other)}", flush=True)
    return equal, slowed


def _in_words(comparison: Comparison) -> str:
    return ", ".join(
        f"{change.figure} {change.ratio - 1:+.1%} ({change.low - 1:+.1%} to {change.high - 1:+.1%}){' WORSE' * change.worse}"
        for change in comparison.changes
        if change.figure in JUDGED or change.worse
    )


if __name__ == "__main__":
    sys.exit(main())
