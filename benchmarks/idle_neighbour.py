"""Whether a saturated model spoils an idle one: `python benchmarks/idle_neighbour.py [--pairs 3] [--seconds 4]`, a minute.

A model whose runs take milliseconds is asked at twice what it answers; a perceptron beside it is asked twenty times in a second. The
perceptron's 99th percentile with that is set beside the one without it, in pairs that take turns. Callers and server share the
machine: give it four cores that nobody else uses, or the figures are the scheduler's.
"""

import argparse
import statistics
import tempfile
import threading
from pathlib import Path

import orjson
from faults import capacity, question, write_model
from harness import ROOT, environment, example_row, load_file
from open_loop import Asked, OpenLoop, poisson, quantile

_RATE = 20.0


def idle_question(_: int) -> Asked:
    """Return a prediction of the perceptron."""
    tensor = {"name": "X", "shape": [1, 64], "datatype": "FP32", "data": [round(float(value), 6) for value in example_row()[0]]}
    return Asked("/v2/models/mlp/infer", {"Content-Type": "application/json"}, orjson.dumps({"inputs": [tensor]}))


def p99_ms(address: str, seconds: float, seed: int) -> float:
    """Return the perceptron's 99th percentile in milliseconds."""
    answers = OpenLoop(address, idle_question).run(poisson(_RATE, seconds, seed))
    return 1000 * quantile([answer.came_s for answer in answers], 0.99)


def ratio(address: str, rate: float, seconds: float, seed: int) -> float:
    """Return its 99th percentile beside the saturated model over the one alone."""
    alone = p99_ms(address, seconds, seed)
    busy = threading.Thread(target=lambda: OpenLoop(address, question).run(poisson(rate, seconds, seed)))
    busy.start()
    beside = p99_ms(address, seconds, seed)
    busy.join()
    print(f"pair {seed}: p99 {alone:.1f} ms alone, {beside:.1f} ms beside a saturated model", flush=True)
    return beside / alone


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    print(environment())
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        registry = Path(name) / "models"
        write_model(registry)
        load_file("build", ROOT / "tests" / "models" / "build.py").write_mlp(registry)
        with processes.running(registry, Path(name), "models.lookup.slo_ms=2000") as server:
            rate = 2 * capacity(server)
            found = [ratio(server.http, rate, arguments.seconds, seed) for seed in range(1, arguments.pairs + 1)]
    print(f"p99 of the idle model: median {statistics.median(found):.2f}x of that alone (at most 1.1)")


if __name__ == "__main__":
    main()
