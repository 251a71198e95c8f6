"""What scrapes cost those who predict: `python benchmarks/scrapes.py [--pairs 5] [--seconds 2]`, half a minute.

A caller asks the perceptron over one connection. Its 99th percentile beside a hundred scrapers, who all ask for the metrics once in a
second and at the same moment, and one more who reads nothing of what it asked for, is set beside the one without them, in pairs that
take turns. What one page costs the event loop is in the median all the same: it is the longest that a prediction waits for one.
"""

import argparse
import contextlib
import http.client
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from harness import ROOT, Server, cores, environment, load_file, pinned
from http_infer import json_question
from http_load import ask

SCRAPERS: Final = 100
_ROUND_S: Final = 1.0


@contextlib.contextmanager
def scraped(admin: str) -> Iterator[None]:
    """Scrape as long as the context lasts."""
    host, _, port = admin.rpartition(":")
    over, together = threading.Event(), threading.Barrier(SCRAPERS)

    def scrape() -> None:
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        with contextlib.closing(connection), contextlib.suppress(threading.BrokenBarrierError):
            while not over.is_set():
                connection.request("GET", "/metrics")
                connection.getresponse().read()
                over.wait(_ROUND_S)
                together.wait(10)

    threads = [threading.Thread(target=scrape) for _ in range(SCRAPERS)]
    with socket.create_connection((host, int(port))) as idle:
        idle.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
        for thread in threads:
            thread.start()
        yield
        over.set()
        together.abort()
        for thread in threads:
            thread.join()


def page_ms(admin: str) -> float:
    """Return how long one page takes when nobody else asks, the median of some."""
    connection = http.client.HTTPConnection(admin, timeout=30)
    taken = []
    for _ in range(20):
        began_s = time.perf_counter()
        connection.request("GET", "/metrics")
        connection.getresponse().read()
        taken.append(1000 * (time.perf_counter() - began_s))
    return statistics.median(taken)


def ratios(server: Server, admin: str, pairs: int, seconds: float) -> list[float]:
    """Return the caller's p99 with scrapers over the one without, for each pair."""
    question, found = json_question(server), list[float]()
    ask(question, 1, 1)
    for turn in range(pairs):
        p99_us = {}
        for hindered in (turn % 2 == 0, turn % 2 == 1):
            with scraped(admin) if hindered else contextlib.nullcontext():
                p99_us[hindered] = ask(question, 1, seconds).p99_us
        found.append(p99_us[True] / p99_us[False])
        print(f"pair {turn + 1}: p99 {p99_us[False]:.0f} us alone, {p99_us[True]:.0f} us beside {SCRAPERS} scrapers", flush=True)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    print(environment())
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    server_core, generator_core = cores()
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        directory = Path(name)
        load_file("build", ROOT / "tests" / "models" / "build.py").write_mlp(directory / "models")
        with pinned(server_core):
            running = processes.running(directory / "models", directory)
        with running as up, pinned(generator_core):
            server = Server(up.process.pid, up.http, up.grpc, directory / "models" / "mlp" / "1" / "model.onnx")
            seen = ratios(server, up.admin, arguments.pairs, arguments.seconds)
            page = page_ms(up.admin)
    print(f"p99 beside {SCRAPERS} scrapers: median {statistics.median(seen):.2f}x of that without; one page takes {page:.1f} ms")


if __name__ == "__main__":
    main()
