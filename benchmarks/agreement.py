"""Whether `penstock bench` sees what other generators see: wrk over HTTP, perf_analyzer over HTTP and gRPC.

`python benchmarks/agreement.py` takes some four minutes: a model of some 2 ms, a closed loop, rounds in turn, the server on one
core and each generator on the other. The other tools are those of the tests; see README.md.
"""

import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import long_run
import orjson
from harness import ROOT, Server, cores, environment, pinned, serving
from http_load import ask

CONNECTIONS: Final = 2
SECONDS: Final = 4
ROUNDS: Final = 5
BOUNDS: Final = {"rate": 0.05, "p50": 0.05, "p99": 0.15}
_PERF: Final = ROOT / ".venv-clients" / "perf"
_PRINTED: Final = {"rate": r"throughput: ([\d.]+) infer/sec", "p50": r"p50 latency: (\d+) usec", "p99": r"p99 latency: (\d+) usec"}


class Seen(NamedTuple):
    """What one tool saw in one round; latencies in microseconds."""

    rate: float
    p50: float
    p99: float


def by_bench(server: Server, protocol: str) -> Seen:
    """Ask with our own command."""
    url = f"grpc://{server.grpc}" if protocol == "grpc" else f"http://{server.http}"
    command = [sys.executable, "-m", "penstock", "bench", url, "--protocol", protocol, "--model", "wide"]
    command += ["--concurrency", str(CONNECTIONS), "--duration", f"{SECONDS}s", "--processes", "1", "--json"]
    result = orjson.loads(subprocess.run(command, check=False, capture_output=True).stdout)
    figures = result["figures"]
    return Seen(figures["rps"], figures["p50_ms"] * 1e3, figures["p99_ms"] * 1e3)


def by_wrk(server: Server, _: str) -> Seen:
    """Ask with wrk."""
    load = ask(long_run.question(server, as_json=True), CONNECTIONS, SECONDS)
    return Seen(load.requests / load.seconds, load.p50_us, load.p99_us)


def by_perf_analyzer(server: Server, protocol: str) -> Seen:
    """Ask with perf_analyzer, its tensors in binary form."""
    name, address = ("grpc", server.grpc) if protocol == "grpc" else ("http", server.http)
    command = [str(_PERF / "bin" / "perf_analyzer"), "-m", "wide", "-u", address, "-i", name, "--async"]
    command += ["--concurrency-range", str(CONNECTIONS), "-p", str(SECONDS * 1000), "-s", "100", "-r", "3"]
    libraries = _PERF / "nvidia" / "cuda_runtime" / "lib"
    told = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LD_LIBRARY_PATH": str(libraries)}).stdout
    return Seen(*(float(re.findall(pattern, told)[-1]) for pattern in _PRINTED.values()))


PAIRS: Final[dict[str, tuple[str, Callable[[Server, str], Seen]]]] = {
    "wrk, HTTP JSON": ("http-json", by_wrk),
    "perf_analyzer, HTTP binary": ("http-binary", by_perf_analyzer),
    "perf_analyzer, gRPC": ("grpc", by_perf_analyzer),
}


def main() -> None:
    """Take turns, and print the medians and their ratios."""
    print(environment(), flush=True)
    server_core, generator_core = cores()
    with serving(server_core, long_run.write_model) as server, pinned(generator_core):
        for other, (protocol, tool) in PAIRS.items():
            rounds = [(by_bench(server, protocol), tool(server, protocol)) for _ in range(ROUNDS)]
            ours, theirs = (Seen(*map(statistics.median, zip(*side, strict=True))) for side in zip(*rounds, strict=True))
            for figure, bound in BOUNDS.items():
                mine, its = getattr(ours, figure), getattr(theirs, figure)
                verdict = "ok" if abs(mine / its - 1) <= bound else "APART"
                print(
                    f"{other:<28} {figure:<5} {mine:>10,.0f} beside {its:>10,.0f}: {mine / its:.3f} (within {bound:.0%}: {verdict})",
                    flush=True,
                )


if __name__ == "__main__":
    assert Path(_PERF).is_dir(), "run `make test` first: it installs perf_analyzer"
    main()
