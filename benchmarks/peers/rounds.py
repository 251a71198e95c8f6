"""Every server in turn, round by round, so that what else the machine does meets all of them."""

import contextlib
import statistics
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
import numpy as np
from harness import CONNECTIONS, Load, cores, pinned
from http_load import ask as ask_http
from peers import grpc_load, tree
from peers.catalogue import GRPC, HTTP_BINARY
from peers.models import Model
from peers.serving import Served

WARM_UP_S: Final = 1.0
ENOUGH: Final = 10 * CONNECTIONS
"""A round lasts until it has so many requests, or thrice its length: what is in flight at its end is lost."""
_SETTLED, _LOOK_S, _SETTLE_S = 0.3, 0.3, 20.0

_FAILURES: Final = (RuntimeError, AssertionError, OSError, grpc.RpcError, subprocess.CalledProcessError)

Array = np.ndarray[Any, Any]


class Case(NamedTuple):
    """What is measured: a model, a wire, and the title of a server."""

    model: str
    wire: str
    server: str


class Cost(NamedTuple):
    """What a round cost a server and its callers."""

    per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    rss_mib: float

    def __str__(self) -> str:
        latency = f"p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms"
        return f"{self.per_s:,.0f}/s, {self.cpu_us:,.0f} us of CPU, {latency}, {self.rss_mib:.0f} MiB"


class Contender(NamedTuple):
    """A server's title, the wires that it has, and how it is run with a model that lies in a file."""

    title: str
    wires: Collection[str]
    serve: Callable[[Model, Path], AbstractContextManager[Served]]

    def cases(self, model: Model) -> list[Case]:
        """Return what there is to measure with a model."""
        return [Case(model.name, wire, self.title) for wire in self.wires if wire != HTTP_BINARY or model.as_bytes]


class Results(NamedTuple):
    """The rounds of each case in the order of the first, and what went wrong in those that failed."""

    costs: dict[Case, list[Cost]]
    failures: dict[Case, str]

    def note(self, case: Case, outcome: Cost | Exception) -> None:
        """Keep what a round brought."""
        rounds = self.costs.setdefault(case, [])
        if isinstance(outcome, Cost):
            rounds.append(outcome)
        else:
            self.failures[case] = str(outcome)

    def medians(self) -> Mapping[Case, Cost]:
        """Return the median of each figure over the rounds of each case that never failed."""
        kept = {case: rounds for case, rounds in self.costs.items() if case not in self.failures}
        return {case: Cost(*map(statistics.median, zip(*rounds, strict=True))) for case, rounds in kept.items()}


def measure(contenders: Collection[Contender], models: Mapping[Path, Model], rounds: int, seconds: float) -> Results:
    """Run each server with each model in every round; a case that fails once is not tried again."""
    results = Results({}, {})
    for turn in range(1, rounds + 1):
        for file, model in models.items():
            for contender in contenders:
                cases = [case for case in contender.cases(model) if case not in results.failures]
                outcomes = _turn(contender, model, file, cases, seconds) if cases else ()
                for case, outcome in outcomes:
                    print(f"{turn}/{rounds} {model.name}, {contender.title}, {case.wire}: {outcome}", flush=True)
                    results.note(case, outcome)
    return results


def _turn(contender: Contender, model: Model, file: Path, cases: list[Case], seconds: float) -> Iterator[tuple[Case, Cost | Exception]]:
    """Run one server once, and ask over each of its wires."""
    server_core, generator_core = cores()
    expected = model.expected(file)
    with contextlib.ExitStack() as stack:
        try:
            with pinned(server_core):
                served = stack.enter_context(contender.serve(model, file))
        except _FAILURES as error:
            yield from ((case, error) for case in cases)
            return
        stack.enter_context(pinned(generator_core))
        for case in cases:
            try:
                yield case, _round(served, case.wire, expected, seconds)
            except _FAILURES as error:
                yield case, error


def _round(served: Served, wire: str, expected: Array, seconds: float) -> Cost:
    answer_bytes = served.check(wire, expected)
    warm = _ask(served, wire, answer_bytes, WARM_UP_S)
    lasts = min(3 * seconds, max(seconds, ENOUGH * warm.seconds / max(1, warm.requests)))
    _settle(served.pid)
    before = tree.cpu_s(served.pid)
    load = _ask(served, wire, answer_bytes, lasts)
    used = tree.cpu_s(served.pid) - before
    if load.requests == 0:
        raise RuntimeError(f"no request was answered in {lasts:.0f} s")
    latencies = load.p50_us / 1000, load.p99_us / 1000
    return Cost(load.requests / load.seconds, used / load.requests * 1e6, *latencies, tree.rss_mib(served.pid))


def _ask(served: Served, wire: str, answer_bytes: int, seconds: float) -> Load:
    question = served.question(wire)
    if wire == GRPC:
        return grpc_load.ask(question.address, question.body, answer_bytes, CONNECTIONS, seconds)
    return ask_http(question, CONNECTIONS, seconds)


def _settle(pid: int) -> None:
    """Wait until the server is done with requests whose callers have left, or has had its time for it."""
    deadline = time.monotonic() + _SETTLE_S
    while time.monotonic() < deadline:
        before = tree.cpu_s(pid)
        time.sleep(_LOOK_S)
        if tree.cpu_s(pid) - before < _SETTLED * _LOOK_S:
            return
