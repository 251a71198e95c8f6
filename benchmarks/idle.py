"""What a server costs that nobody asks, and how soon it is ready: the example registry with default settings."""

import statistics
import tempfile
import time
from pathlib import Path

from harness import ROOT, Row, cpu_s, load_file, rss_mib

STARTS = 3
IDLE_S = 10.0
CPU_BUDGET, RSS_BUDGET_MIB, READY_BUDGET_S = 1.0, 150.0, 2.0


def measure() -> list[Row]:
    """Start a few times; leave the last server alone for a while."""
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    starts: list[float] = []
    for turn in range(STARTS):
        with tempfile.TemporaryDirectory(prefix="penstock-idle-") as name:
            started = time.perf_counter()
            with processes.running(ROOT / "examples" / "registry", Path(name)) as server:
                starts.append(time.perf_counter() - started)
                if turn == STARTS - 1:
                    share, rss = _idle(server.process.pid)
    ready = Row("start to ready", statistics.median(starts), "s", READY_BUDGET_S, f"of {STARTS} starts; slowest {max(starts):.2f} s")
    return [
        Row("idle, share of a core", share, "%", CPU_BUDGET, f"over {IDLE_S:.0f} s"),
        Row("idle, resident memory", rss, "MiB", RSS_BUDGET_MIB, "example registry"),
        ready,
    ]


def _idle(pid: int) -> tuple[float, float]:
    time.sleep(1)  # whatever the start has left to do
    before, began = cpu_s(pid), time.perf_counter()
    time.sleep(IDLE_S)
    return (cpu_s(pid) - before) / (time.perf_counter() - began) * 100, rss_mib(pid)
