"""Runs load scenarios against a server of its own: `python loadtests/run.py [SCENARIO.toml]...`, by default all beside it.

A scenario asks at a given rate whatever the answers do, as users who do not know of each other ask: a server that falls
behind is not asked less. Latency counts from the moment at which a request was due.

Exit code: 0 all limits kept, 1 a limit broken, 2 a scenario that cannot be read, 3 an invalid measurement, since the
generator itself did not keep up.
"""

import argparse
import asyncio
import importlib.util
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

import httpx2
import msgspec
import numpy as np

ROOT: Final = Path(__file__).parents[1]
KEPT, BROKEN, UNREADABLE, INVALID = 0, 1, 2, 3
LEAST_ACHIEVED: Final = 0.98
_OK: Final = 200
_GIVE_UP_S: Final = 30.0
_WARM: Final = 20


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run may show at most."""

    error_rate: float
    p99_ms: float


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file."""

    url: str
    """The path that is asked."""
    body: str
    rate_per_s: float
    duration_s: float
    connections: int
    limits: Limits

    @property
    def requests(self) -> int:
        """How many requests are due."""
        return max(1, round(self.rate_per_s * self.duration_s))


class Asked(NamedTuple):
    """One request, in seconds after the start."""

    due: float
    sent: float
    answered: float
    ok: bool


class Result(NamedTuple):
    """What a run has shown."""

    achieved: float
    """The share of the requests that the generator sent before the run was over."""
    error_rate: float
    p50_ms: float
    p99_ms: float

    def exit_code(self, limits: Limits) -> int:
        """Judge the run; of an invalid one nothing else can be said."""
        if self.achieved < LEAST_ACHIEVED:
            return INVALID
        kept = self.error_rate <= limits.error_rate and self.p99_ms <= limits.p99_ms
        return KEPT if kept else BROKEN


async def run(scenario: Scenario, address: str) -> Result:
    """Send every request when it is due, and wait for what comes back."""
    limits = httpx2.Limits(max_connections=scenario.connections, max_keepalive_connections=scenario.connections)
    async with httpx2.AsyncClient(base_url=f"http://{address}", limits=limits, timeout=_GIVE_UP_S) as client:
        for _ in range(_WARM):
            await _ask(client, scenario)
        start = time.perf_counter()
        tasks = []
        for number in range(scenario.requests):
            due = number / scenario.rate_per_s
            await asyncio.sleep(max(0.0, start + due - time.perf_counter()))
            if time.perf_counter() - start > scenario.duration_s:
                break
            tasks.append(asyncio.create_task(_timed(client, scenario, start, due)))
        achieved = len(tasks) / scenario.requests
        if achieved < LEAST_ACHIEVED:  # whatever the answers are, they say nothing
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return Result(achieved, math.nan, math.nan, math.nan)
        return summarize(await asyncio.gather(*tasks), scenario)


def summarize(asked: list[Asked], scenario: Scenario) -> Result:
    """Return the figures of a run. A request without an answer of 200 took forever, as far as percentiles are concerned."""
    taken = np.array([(one.answered - one.due) * 1000 if one.ok else math.inf for one in asked])
    in_time = sum(one.sent <= scenario.duration_s for one in asked) / scenario.requests
    p50, p99 = np.percentile(taken, (50, 99), method="higher")
    return Result(in_time, sum(not one.ok for one in asked) / len(asked), float(p50), float(p99))


async def _timed(client: httpx2.AsyncClient, scenario: Scenario, start: float, due: float) -> Asked:
    sent = time.perf_counter() - start
    ok = await _ask(client, scenario)
    return Asked(due, sent, time.perf_counter() - start, ok)


async def _ask(client: httpx2.AsyncClient, scenario: Scenario) -> bool:
    try:
        answer = await client.post(scenario.url, content=scenario.body, headers={"Content-Type": "application/json"})
    except httpx2.HTTPError:
        return False
    return answer.status_code == _OK


@contextmanager
def serving() -> Iterator[str]:
    """Serve the example registry; yields the address of the HTTP listener."""
    processes = _load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    with (
        tempfile.TemporaryDirectory(prefix="penstock-load-") as directory,
        processes.running(ROOT / "examples" / "registry", Path(directory)) as server,
    ):
        yield server.http


def _load_file(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(name: str, scenario: Scenario, result: Result) -> str:
    """Return one line of the table."""
    verdict = {KEPT: "ok", BROKEN: "BROKEN", INVALID: "INVALID"}[result.exit_code(scenario.limits)]
    errors = f"{result.error_rate:.2%} / {scenario.limits.error_rate:.2%}"
    p99 = f"{result.p99_ms:.1f} / {scenario.limits.p99_ms:.0f} ms"
    achieved = f"{result.achieved:.1%} of {scenario.rate_per_s:g}/s"
    return f"{name:<20} {achieved:<20} {errors:<16} {result.p50_ms:>6.1f} ms  {p99:<18} {verdict}"


def main() -> int:
    """Run the scenarios one after the other, on one server."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scenarios", nargs="*", type=Path, default=sorted(Path(__file__).parent.glob("*.toml")))
    try:
        scenarios = {path.stem: msgspec.toml.decode(path.read_bytes(), type=Scenario) for path in parser.parse_args().scenarios}
    except (OSError, msgspec.MsgspecError) as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    codes = []
    print(f"{'Scenario':<20} {'Sent in time':<20} {'Errors / limit':<16} {'p50':>9}  {'p99 / limit':<18}")
    with serving() as address:
        for name, scenario in scenarios.items():
            result = asyncio.run(run(scenario, address))
            codes.append(result.exit_code(scenario.limits))
            print(report(name, scenario, result), flush=True)
    if INVALID in codes:
        print(f"INVALID: the generator sent less than {LEAST_ACHIEVED:.0%} of the requests in time; run it on a machine with less to do")
    return max(codes, default=KEPT)


if __name__ == "__main__":
    sys.exit(main())
