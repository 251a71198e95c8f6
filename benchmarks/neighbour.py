"""What a model notices of a sick one in a process of its own: `python benchmarks/neighbour.py [PAIRS]`, three minutes with five pairs.

The sick one's worker dies of SIGSEGV, stops, is asked for more memory than it may take, or gives answers of the wrong shape; a healthy
model of the same server is asked all the while, 100 times a second. Pairs of rounds, without and with the trouble, in turn first. Wanted:
every answer of the healthy one, and a p99 of at most 1.25 times that without. The sick one's next worker starts on the same cores.
"""

import os
import signal
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson
from bound import Bound, judge
from harness import ROOT, environment, load_file
from open_loop import Asked, OpenLoop, poisson, quantile

_RATE, _ROUND_S, _PAIRS, _MOST = 100.0, 3.0, 5, 1.25
_EVERY_S: Final = 0.1
_HOG_BYTES: Final = 600 * 2**20
_GARBAGE: Final = "garbage (float[batch,n] X) => (float[rows,n] Y) { Y = Concat <axis = 0> (X, X) }"
_SICK: Final = ("victim", "hog", "garbage")
Server = Any  # tests/clients/server_process.py is loaded by its path


def write_models(registry: Path) -> None:
    """Write a healthy model and three that can be made sick."""
    build = load_file("build", ROOT / "tests" / "models" / "build.py")
    build.write_mlp(registry)
    build.write_hog(registry)
    build.save(build.parse(build.identity("same", "float", "batch,n")), registry / "victim" / "1")
    build.save(build.parse(_GARBAGE), registry / "garbage" / "1")


def asked(model: str, name: str, datatype: str, shape: list[int], data: list[float]) -> Asked:
    """Return a prediction."""
    tensor = {"name": name, "shape": shape, "datatype": datatype, "data": data}
    return Asked(f"/v2/models/{model}/infer", {}, orjson.dumps({"inputs": [tensor]}))


def ask(server: Server, what: Asked) -> None:
    """Ask a sick model, whatever it says."""
    try:
        urllib.request.urlopen(urllib.request.Request(f"http://{server.http}{what.path}", what.body), timeout=5).read()
    except (OSError, urllib.error.HTTPError):
        return


def worker(server: Server) -> int | None:
    """Return the process of the victim's worker, if it is there."""
    request = urllib.request.Request(f"http://{server.admin}/admin/models/victim", headers={"Authorization": f"Bearer {server.token}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        (told,) = orjson.loads(answer.read())["versions"][-1]["workers"]
    return told["pid"] if told["state"] == "up" else None


def crashes(server: Server, over: threading.Event) -> None:
    """Let the worker die twice, and ask its model all the while."""
    for number in range(int(_ROUND_S / _EVERY_S)):
        if number in {2, 15} and (pid := worker(server)) is not None:
            os.kill(pid, signal.SIGSEGV)
        if over.wait(_EVERY_S):
            return
        ask(server, asked("victim", "X", "FP32", [1, 2], [1.0, 2.0]))


def hangs(server: Server, over: threading.Event) -> None:
    """Stop the worker, with a request in its hands, and let it go on at the end."""
    pid = worker(server)
    if pid is None:
        return
    os.kill(pid, signal.SIGSTOP)
    waiting = threading.Thread(target=ask, args=(server, asked("victim", "X", "FP32", [1, 2], [1.0, 2.0])))
    waiting.start()
    over.wait()
    os.kill(pid, signal.SIGCONT)
    waiting.join()


def repeats(what: Asked) -> Callable[[Server, threading.Event], None]:
    """Return trouble that one request makes, again and again."""

    def trouble(server: Server, over: threading.Event) -> None:
        while not over.wait(_EVERY_S):
            ask(server, what)

    return trouble


TROUBLES: Final = {
    "segfaults": crashes,
    "hangs": hangs,
    "eats memory": repeats(asked("hog", "N", "INT64", [1, 1], [500_000_000])),
    "gives garbage": repeats(asked("garbage", "X", "FP32", [1, 2], [1.0, 2.0])),
}


def one_round(server: Server, trouble: Callable[[Server, threading.Event], None] | None, seed: int) -> tuple[float, int]:
    """Return the healthy model's p99 in ms, and how many of its requests were not answered."""
    while worker(server) is None:  # the last round's trouble is over
        time.sleep(0.1)
    healthy, over = asked("mlp", "X", "FP32", [1, 64], [0.5] * 64), threading.Event()
    sick = None if trouble is None else threading.Thread(target=trouble, args=(server, over))
    if sick is not None:
        sick.start()
    answers = OpenLoop(server.http, lambda _: healthy).run(poisson(_RATE, _ROUND_S, seed))
    over.set()
    if sick is not None:
        sick.join()
    return 1000 * quantile([answer.came_s for answer in answers], 0.99), sum(answer.status != 200 for answer in answers)


def main() -> int:
    """Print a line for each trouble."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else _PAIRS
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    print(environment(), flush=True)
    bounds: list[Bound] = []
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        write_models(Path(name) / "models")
        settings = [f'models.{sick}.isolation="process"' for sick in _SICK] + [
            f"models.hog.memory_bytes={_HOG_BYTES}",
            "defaults.warmup=off",
        ]
        with processes.running(Path(name) / "models", Path(name), *settings) as server:
            one_round(server, None, 0)
            for what, trouble in TROUBLES.items():
                calm, beside, lost = [], [], 0
                for seed in range(pairs):
                    for seen, now in ((calm, None), (beside, trouble)) if seed % 2 else ((beside, trouble), (calm, None)):
                        p99_ms, missed = one_round(server, now, seed)
                        seen.append(p99_ms)
                        lost += missed
                bounds += wanted(what, calm, beside, lost)
    return judge(bounds)


def wanted(what: str, calm: list[float], beside: list[float], lost: int) -> list[Bound]:
    """Return what is wanted of the healthy model: its p99 (ms) without and beside the trouble, and every answer."""
    ratios = [with_it / without for with_it, without in zip(beside, calm, strict=True)]
    told = f"p99 {median(calm):.1f} ms without, {median(beside):.1f} ms beside it"
    return [Bound(f"a model that {what}", ratios, _MOST, " times", beside=told), Bound("not answered meanwhile", [lost], 0, " requests")]


if __name__ == "__main__":
    sys.exit(main())
