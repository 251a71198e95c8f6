"""Whether a large model that comes and goes disturbs a small busy one: `python benchmarks/reload.py [--pairs 3]`, a minute and a half.

A model of 192 MiB is loaded and unloaded again and again beside a perceptron that two callers ask 800 times in a second. The small
one's 99th percentile with that is set beside the one without, in pairs that take turns; and the longest time that one of its answers
took while the large one was loaded, and while it was unloaded. What frees a session holds the interpreter's lock, so these are also
given per GiB. The weights are many tensors of 4 MiB in one round and few of 64 MiB in the other, each with small pages and with large
ones. Callers, server and load share the machine: give it four cores that nobody else uses, or the figures are the scheduler's.
"""

import argparse
import http.client
import os
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
from harness import ROOT, Row, Server, environment, load_file, rss_mib
from http_infer import json_question
from http_load import Question

MIB: Final = 192
BUDGET: Final = 1.5
"""What the small model's p99 may grow to."""
_CALLERS: Final = 2
_SETTLED_S: Final = 1.0
_PER_S: Final = 400
"""What each caller asks in a second: together some third of what two cores could answer, so that the machine has room for a load."""
_PAIRS: Final = 3
_SPAN_S: Final = 2.0
_LARGE_PAGES: Final = "glibc.malloc.hugetlb=1"
_AFTERWARDS_S: Final = 0.1
"""For how long after the answer to an unload what it began may still go on."""


class Seen(NamedTuple):
    """What a caller saw: for each answer when it was asked for, and how long it took (s)."""

    asked: list[float]
    took: list[float]


class Spans(NamedTuple):
    """When the large model was being loaded, and unloaded."""

    loads: list[tuple[float, float]]
    unloads: list[tuple[float, float]]


def write_models(registry: Path, width: int) -> Path:
    """Write the small model, and the large one as a chain of square matrices; returns the path of the small one."""
    models = load_file("build", ROOT / "tests" / "models" / "build.py")
    layers = MIB * 1024**2 // (4 * width * width)
    steps = "\n".join(f"h{layer + 1} = MatMul (h{layer}, W{layer})" for layer in range(layers))
    graph = f"large (float[batch,{width}] h0) => (float[batch,{width}] h{layers})\n{{\n{steps}\n}}"
    random = np.random.default_rng(7)
    weights = {f"W{layer}": random.random((width, width), np.float32) for layer in range(layers)}
    models.write_graph(graph, registry / "large" / "1" / "model.onnx", weights)
    (registry / "large" / "model.toml").write_text("max_batch_rows = 1\n")
    models.write_mlp(registry)
    return registry / "mlp" / "1" / "model.onnx"


def call(question: Question, seconds: float) -> Seen:
    """Ask on one connection for some seconds, at fixed times: who waits for an answer is late for the next, and counts that."""
    host, _, port = question.address.rpartition(":")
    headers = {"Host": question.address, "Content-Length": str(len(question.body)), **question.headers}
    message = "\r\n".join([f"POST {question.path} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items()), "", ""]).encode()
    seen = Seen([], [])
    with socket.create_connection((host, int(port))) as line:
        began = time.monotonic()
        for number in range(int(seconds * _PER_S)):
            asked = began + number / _PER_S
            time.sleep(max(0.0, asked - time.monotonic()))
            line.sendall(message + question.body)
            if not line.recv(65_536).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("not every request was answered")
            seen.asked.append(asked)
            seen.took.append(time.monotonic() - asked)
    return seen


def callers(pool: ProcessPoolExecutor, question: Question, seconds: float) -> Seen:
    """Ask from processes of their own; returns what all of them saw."""
    both = list(pool.map(partial(call, question), [seconds] * _CALLERS))
    return Seen([asked for seen in both for asked in seen.asked], [took for seen in both for took in seen.took])


class Reloader:
    """Loads and unloads the large model without a pause, on a thread, as long as its context lasts."""

    def __init__(self, admin: str, token: str) -> None:
        self.spans = Spans([], [])
        self._connection = http.client.HTTPConnection(admin)
        self._headers = {"authorization": f"Bearer {token}"}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._reload)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()

    def manage(self, what: str) -> tuple[float, float]:
        """Load or unload; returns when that began and ended."""
        began = time.monotonic()
        self._connection.request("POST", f"/v2/repository/models/large/{what}", headers=self._headers)
        answer = self._connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(answer.read().decode())
        answer.read()
        return began, time.monotonic()

    def _reload(self) -> None:
        while not self._over.is_set():
            self.spans.loads.append(self.manage("load"))
            self._over.wait(_AFTERWARDS_S)
            began, ended = self.manage("unload")
            self._over.wait(_AFTERWARDS_S)
            self.spans.unloads.append((began, ended + _AFTERWARDS_S))


def longest(seen: Seen, spans: list[tuple[float, float]]) -> list[float]:
    """Return for each span the longest that an answer took which was waited for in it (s)."""
    asked, took = np.array(seen.asked), np.array(seen.took)
    return [float(took[(asked < ended) & (asked + took > began)].max(initial=0.0)) for began, ended in spans]


@contextmanager
def served(width: int, tunables: str) -> Iterator[tuple[Server, str, str]]:
    """Serve both models on all cores; yields the server, its admin listener and its token."""
    os.environ["GLIBC_TUNABLES"] = tunables
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    with processes.own_directory() as directory:
        model = write_models(directory / "models", width)
        with processes.running(directory / "models", directory, "registry.poll_s=0") as running:
            yield Server(running.process.pid, running.http, running.grpc, model), running.admin, running.token


def measure(width: int, tunables: str, pairs: int) -> list[Row]:
    """Return what the small model's callers saw of the large one, in pairs of spans without and with it that take turns."""
    name = f"{4 * width * width >> 20} MiB tensors" + (", large pages" if tunables else "")
    without, with_it, loading, unloading = list[Seen](), list[Seen](), list[float](), list[float]()
    with served(width, tunables) as (server, admin, token), ProcessPoolExecutor(_CALLERS) as pool:
        Reloader(admin, token).manage("unload")
        question = json_question(server)
        callers(pool, question, 0.5)
        resident = rss_mib(server.pid)
        for _ in range(pairs):
            without.append(callers(pool, question, _SPAN_S))
            with Reloader(admin, token) as reloader:
                with_it.append(callers(pool, question, _SPAN_S))
            loading += longest(with_it[-1], reloader.spans.loads)
            unloading += longest(with_it[-1], reloader.spans.unloads)
            time.sleep(_SETTLED_S)
        beside = f"{len(loading)} reloads; {resident:.0f} MiB resident before, {rss_mib(server.pid):.0f} after"
    return [_ratio(name, without, with_it, beside), _longest(f"{name}: load", loading), _longest(f"{name}: unload", unloading)]


def _ratio(name: str, without: list[Seen], with_it: list[Seen], beside: str) -> Row:
    p99 = [[float(np.percentile(seen.took, 99)) * 1000 for seen in which] for which in (without, with_it)]
    ratio = statistics.median(during / before for before, during in zip(*p99, strict=True))
    medians = [statistics.median(which) for which in p99]
    return Row(f"{name}: p99, with / without", ratio, "x", BUDGET, f"{medians[0]:.2f} ms without, {medians[1]:.2f} with; {beside}")


def _longest(name: str, took: list[float]) -> Row:
    found = statistics.median(took) * 1000
    return Row(f"{name}, longest answer", found, "ms", None, f"worst {max(took) * 1000:.1f}; {found * 1024 / MIB:.0f} ms per GiB")


def main() -> int:
    """Measure and print; returns 1 if a budget is not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=_PAIRS)
    pairs = parser.parse_args().pairs
    print(environment())
    over = False
    for tunables in ("", _LARGE_PAGES):
        for width in (1024, 4096):
            for row in measure(width, tunables, pairs):
                over |= row.budget is not None and not row.within
                verdict = "" if row.budget is None else "ok; " if row.within else "OVER; "
                print(f"{row.what:52} {row.measured:8.2f} {row.unit:3} {verdict}{row.beside}")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
