"""What a shadow costs its primary: `python benchmarks/shadow.py [--quick]`, about seven minutes; exit code 1 if a bound is missed.

Two models: a network of convolutions, whose runs go to threads, and a small perceptron, whose runs stay on the event loop. Each is asked
in rounds with a shadow that follows every request and rounds without, interleaved on the same server. Asked: does the 99th percentile move
at a fifth of the capacity, or at 500 requests a second, asked by an open loop; and does the goodput hold beyond the capacity, where shadows
are to be dropped? There the network is asked by the same open loop, and the perceptron by wrk: no generator in Python keeps it busy.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import adaptive
import orjson
from adaptive import SLO_MS
from bound import Bound, judge
from harness import CONNECTIONS, ROOT, example_row, load_file
from http_load import Question, ask
from open_loop import Answer, Asked, OpenLoop, poisson, quantile

_PAIRS: Final = 12
_P99_RATIO, _GOODPUT_RATIO = 1.05, 0.97
Server = Any  # tests/clients/server_process.py is loaded by its path


class Subject(NamedTuple):
    """A model under measurement."""

    name: str
    write: Callable[[Path], Path]
    ask: Callable[[int], Asked]
    low_s: float
    """Seconds of a round at low load, long enough for a 99th percentile."""
    low_rate: float | None = None
    """Requests per second at low load; None for a fifth of the measured capacity."""


class Effect(NamedTuple):
    """Paired rounds, with the shadow over without."""

    ratios: list[float]
    compared: float
    """The part of the sampled requests that was compared."""

    def bound(self, what: str, limit: float, *, at_least: bool = False) -> Bound:
        """Return the ratios beside what they may be."""
        beside = f"{100 * self.compared:.0f} % of the sampled were compared"
        return Bound(f"{what} with a shadow over without", self.ratios, limit, at_least=at_least, beside=beside)


def write_mlp(registry: Path) -> Path:
    """Write the perceptron; returns the path of its file."""
    load_file("build", ROOT / "tests" / "models" / "build.py").write_mlp(registry)
    return registry / "mlp" / "1" / "model.onnx"


def question_of_mlp(_: int = 0) -> Asked:
    """Return a prediction of one row, as JSON."""
    body = orjson.dumps({"inputs": [{"name": "X", "shape": [1, 64], "datatype": "FP32", "data": example_row().ravel().tolist()}]})
    return Asked("/v2/models/mlp/infer", {}, body)


MLP: Final = Subject("mlp", write_mlp, question_of_mlp, 4.0, 500.0)


@contextmanager
def serve(subject: Subject) -> Iterator[Server]:
    """Serve version 1 of a model, and a copy of it as version 2, from a process of its own."""
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        first = subject.write(Path(name) / "models").parent
        shutil.copytree(first, first.with_name("2"))
        settings = (f"models.{subject.name}.slo_ms={SLO_MS}", f'models.{subject.name}.versions="all"')
        with processes.running(Path(name) / "models", Path(name), *settings) as server:
            yield server


def admin(server: Server, path: str, method: str = "GET", body: object = None) -> dict[str, Any]:
    """Return what the admin listener answers."""
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    data = None if body is None else orjson.dumps(body)
    asked = urllib.request.Request(f"http://{server.admin}{path}", data, headers, method=method)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        document: dict[str, Any] = orjson.loads(answer.read())
        return document


def follow(server: Server, subject: Subject, sample: float) -> None:
    """Have a part of the model's predictions followed, or none."""
    shadows = [{"version": "2", "sample": sample}] if sample else []
    admin(server, f"/admin/models/{subject.name}/route", "PUT", {"stable": "1", "shadows": shadows})


def ends(server: Server, subject: Subject) -> tuple[int, int]:
    """Return how many requests were compared with a shadow's answers so far, of how many."""
    shadows = admin(server, f"/admin/models/{subject.name}/shadows")["shadows"]
    return sum(each["ends"].get("compared", 0) for each in shadows), sum(each["sampled"] for each in shadows)


def offered(server: Server, subject: Subject, rate: float, seconds: float, seed: int) -> list[Answer]:
    """Return the answers to Poisson arrivals at that rate."""
    return OpenLoop(server.http, subject.ask).run(poisson(rate, seconds, seed))


def paired(server: Server, subject: Subject, measure: Callable[[int], float], pairs: int) -> Effect:
    """Return how a figure differs with a shadow, over interleaved rounds with the same arrivals."""
    ratios, shares = [], []
    for seed in range(pairs):
        seen: dict[float, float] = {}
        for sample in (1.0, 0.0) if seed % 2 else (0.0, 1.0):
            follow(server, subject, sample)
            seen[sample] = measure(seed)
            if sample:
                compared, sampled = ends(server, subject)
                shares.append(compared / max(1, sampled))
        ratios.append(seen[1.0] / seen[0.0])
    return Effect(ratios, statistics.median(shares))


def capacity(server: Server, subject: Subject, seconds: float) -> float:
    """Return the peak goodput over rising rates, per second."""
    best, rate = 0.0, 50.0
    while rate < 20_000:
        seen = adaptive.goodput(offered(server, subject, rate, seconds, int(rate)), seconds)
        if seen < 0.8 * best or seen < 0.5 * rate:
            return max(best, seen)
        best, rate = max(best, seen), rate * 1.5
    return best


def wrk_rate(server: Server, subject: Subject, seconds: float) -> float:
    """Return the answers per second to as many questions as the server takes."""
    asked = subject.ask(0)
    load = ask(Question(server.http, asked.path, asked.headers, asked.body), CONNECTIONS, seconds)
    return load.requests / load.seconds


def report(subject: Subject, pairs: int, scale: float) -> int:
    """Measure one model and print; returns 1 if a bound is missed."""
    with serve(subject) as server:
        follow(server, subject, 0.0)
        offered(server, subject, 50, 1.0, 1)
        low_s, full_s = subject.low_s * scale, max(1.0, 4.0 * scale)
        peak = wrk_rate(server, subject, full_s) if subject.low_rate else capacity(server, subject, 3.0 * scale)
        low_rate = subject.low_rate or peak / 5

        def p99(seed: int) -> float:
            return quantile([answer.came_s for answer in offered(server, subject, low_rate, low_s, seed)], 0.99)

        def good(seed: int) -> float:
            if subject.low_rate:
                return wrk_rate(server, subject, full_s)
            return adaptive.goodput(offered(server, subject, 1.3 * peak, full_s, seed), full_s)

        low, full = paired(server, subject, p99, pairs), paired(server, subject, good, pairs)
        print(f"{subject.name}: {peak:,.0f}/s at the most, without a shadow", flush=True)
        at_low = low.bound(f"{subject.name}, {low_rate:,.0f}/s: p99", _P99_RATIO)
        return judge([at_low, full.bound(f"{subject.name}, saturated: goodput", _GOODPUT_RATIO, at_least=True)])


def main() -> int:
    """Measure and print; a quick run keeps no bound, and misses none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short pairs: shows that it works, measures nothing")
    quick = parser.parse_args().quick
    print(f"target {SLO_MS} ms; server and generator share {len(os.sched_getaffinity(0))} cores", flush=True)
    image = Subject("image", adaptive.write_model, adaptive.question, 10.0)
    codes = [report(subject, 2 if quick else _PAIRS, 0.2 if quick else 1.0) for subject in (image, MLP)]
    return 0 if quick else max(codes)


if __name__ == "__main__":
    sys.exit(main())
