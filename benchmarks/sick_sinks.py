"""What serving notices of a sink that fails: `python benchmarks/sick_sinks.py [PAIRS]`, nine minutes with ten pairs; exit code 1 if missed.

Two servers record every prediction of a small perceptron: one as lines of JSON, and one to a collector of events that answers late, or
never, or is not there, or to a full disk. They are asked in turns: by an open loop of 500 requests a second for the p99, which may move by
10 %, and for as much as they can for the goodput, of which 3 % may be lost. At the end accepted = written + dropped + waiting is checked
for each of them.

With `--dead SECONDS` instead: how the memory of a server grows whose collector is not there, under as much load as it takes.
"""

import argparse
import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple

from bound import Bound, judge
from harness import ROOT, environment, load_file, rss_mib
from open_loop import quantile
from shadow import MLP, offered, wrk_rate

_PAIRS: Final = 10
_RATE, _ROUND_S, _FULL_S = 500.0, 4.0, 2.0
_MOST_P99, _LEAST_GOODPUT = 1.10, 0.97
_LATE_S: Final = 0.2
_FULL_DISK: Final = "64k"
_SAMPLE: Final = re.compile(r"^penstock_payload_(accepted_total|rows_total|dropped_total|waiting_rows)\{.*\} (\S+)$", re.MULTILINE)
_CAP_MIB: Final = 64
"""The default of `payloads.max_bytes`."""
_BUFFER_BYTES: Final = 256 * 2**20
_NOBODY: Final = ['payloads.sink="cloudevents"', 'payloads.cloudevents.url="http://127.0.0.1:9"']
Server = Any  # tests/clients/server_process.py is loaded by its path


class Case(NamedTuple):
    """A sink that fails."""

    name: str
    settings: list[str]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="?", type=int, default=_PAIRS)
    parser.add_argument("--dead", type=float, metavar="SECONDS")
    arguments = parser.parse_args()
    print(environment(), flush=True)
    if arguments.dead:
        return _dead(arguments.dead)
    bounds: list[Bound] = []
    with contextlib.ExitStack() as stack:
        for case in _cases(stack):
            bounds += _measured(case, arguments.pairs)
    return judge(bounds)


def _dead(seconds: float) -> int:
    """Return 0 if the memory stays below what it was without rows and what may wait for the writer."""
    with _serving([*_NOBODY, f"payloads.buffer_bytes={_BUFFER_BYTES}"]) as server:
        pid, before, until_s = server.process.pid, rss_mib(server.process.pid), time.monotonic() + seconds
        most, rates = before, []
        while time.monotonic() < until_s:
            rates.append(wrk_rate(server, MLP, _FULL_S))
            most = max(most, rss_mib(pid))
        print(f"{seconds:.0f} s, {statistics.median(rates):,.0f}/s: {before:.1f} MiB before, {most:.1f} at the most; {_books(server)}")
    return int(most > before + _CAP_MIB)


def _cases(stack: contextlib.ExitStack) -> Iterator[Case]:
    yield Case("answers late", _events(stack.enter_context(_collector(_LATE_S))))
    yield Case("never answers", _events(stack.enter_context(_collector(3600.0))))
    yield Case("refuses", _NOBODY)
    if os.geteuid() == 0:
        yield Case("full disk", [f'payloads.dir="{stack.enter_context(_full_disk())}"'])
    else:
        print("full disk: not measured, since only root may mount a small one", flush=True)


def _events(url: str) -> list[str]:
    return ['payloads.sink="cloudevents"', f'payloads.cloudevents.url="{url}"']


@contextlib.contextmanager
def _collector(late_s: float) -> Iterator[str]:
    """Take events and answer each call after so many seconds."""
    gone = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            gone.wait(late_s)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # who asked has given up
                super().handle()

        def log_message(self, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/events"
        gone.set()
        server.shutdown()


@contextlib.contextmanager
def _full_disk() -> Iterator[Path]:
    """Mount a disk that the first rows fill."""
    with tempfile.TemporaryDirectory(prefix="penstock-disk-") as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_FULL_DISK}", "none", name], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


@contextlib.contextmanager
def _serving(settings: list[str]) -> Iterator[Server]:
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        MLP.write(Path(name) / "models")
        settings = ["defaults.payloads.sample=1.0", "defaults.slo_ms=1000", *settings]
        with processes.running(Path(name) / "models", Path(name), *settings) as server:
            yield server


def _measured(case: Case, pairs: int) -> list[Bound]:
    p99s, rates = [], []
    with _serving(case.settings) as sick, _serving([]) as sound:
        for server in (sick, sound):
            wrk_rate(server, MLP, _FULL_S)
        for pair in range(pairs):
            turns = (sick, sound) if pair % 2 else (sound, sick)
            seen = {id(server): (_p99_s(server, pair), wrk_rate(server, MLP, _FULL_S)) for server in turns}
            p99s.append(seen[id(sick)][0] / seen[id(sound)][0])
            rates.append(seen[id(sick)][1] / seen[id(sound)][1])
        beside = f"sick: {_books(sick)}; sound: {_books(sound)}"
    return [
        Bound(f"{case.name}: p99 at {_RATE:.0f}/s, sick over sound", p99s, _MOST_P99),
        Bound(f"{case.name}: goodput, sick over sound", rates, _LEAST_GOODPUT, at_least=True, beside=beside),
    ]


def _p99_s(server: Server, seed: int) -> float:
    answers = offered(server, MLP, _RATE, _ROUND_S, seed)
    lost = [answer.status for answer in answers if answer.status != 200]
    if lost:
        raise RuntimeError(f"{len(lost)} predictions were not answered, the first with status {lost[0]}")
    return quantile([answer.took_s for answer in answers], 0.99)


def _books(server: Server) -> str:
    """Return what became of the rows; raises `RuntimeError` if the books do not balance."""
    until_s = time.monotonic() + 10
    while True:
        sums = dict.fromkeys(("accepted_total", "rows_total", "dropped_total", "waiting_rows"), 0)
        for name, value in _SAMPLE.findall(server.metrics()):
            sums[name] += int(float(value))
        told = ", ".join(f"{value:,} {name.partition('_')[0]}" for name, value in sums.items())
        if sums["accepted_total"] == sums["rows_total"] + sums["dropped_total"] + sums["waiting_rows"]:
            return told
        if time.monotonic() > until_s:
            raise RuntimeError(f"the books do not balance: {told}")


if __name__ == "__main__":
    sys.exit(main())
