"""The soak tells growth from noise: its detectors find what is planted, and nothing where there is nothing."""

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
KINDS = ("memory", "descriptors", "threads", "tasks")

sys.path.insert(0, str(BENCHMARKS))

from holdings import LEAST  # noqa: E402 - its directory has just come into the path
from slope import Slope  # noqa: E402 - the same
from soak_traffic import Traffic  # noqa: E402 - the same

SECONDS = range(600)


def wandering(seed: int) -> list[float]:
    """Return readings each of which resembles the one before, around a level."""
    source, values, now = random.Random(seed), [], 0.0
    for _ in SECONDS:
        now = 0.9 * now + source.gauss(0, 1)
        values.append(100 + now)
    return values


def test_steady_series_is_not_flagged() -> None:
    """Nor one that never moves; of a hundred that wander without growing hardly any interval leaves zero out."""
    slopes = [Slope.of(SECONDS, wandering(seed)) for seed in range(100)]

    assert not any(slope.is_leak(4.0) for slope in slopes)
    assert sum(slope.low <= 0 <= slope.high for slope in slopes) >= 85
    assert Slope.of(SECONDS, [7.0] * len(SECONDS)) == (0, 0, 0, 0)


@pytest.mark.parametrize("each_minute", [1, 30])
def test_planted_leak_is_flagged(each_minute: float) -> None:
    """In the noise of the other series; the control of the detector."""
    for seed in range(20):
        slope = Slope.of(SECONDS, [value + each_minute * second / 60 for second, value in zip(SECONDS, wandering(seed), strict=True)])

        assert slope.is_leak(4.0)
        assert slope.low <= 60 * each_minute * 1.3


async def traffic_to(said: bytes) -> Traffic:
    """Let callers ask a server that says this to each, and closes."""

    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(say, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asyncio.timeout(20), Traffic(address, address, 0, connections=2) as traffic:
            while traffic.told["cut off"] < 2 and not any(caller.done() for caller in traffic._tasks):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
    return traffic


def test_answers_that_make_no_sense_end_the_soak() -> None:
    """A caller who has had one asks no more, and what nobody asks for does not grow."""
    with pytest.raises(asyncio.LimitOverrunError):
        asyncio.run(traffic_to(b"x" * 100_000))


def test_callers_who_are_cut_off_are_counted() -> None:
    """And come again."""
    assert asyncio.run(traffic_to(b"HTTP/1.1 200 OK")).told["cut off"] > 1


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("leak", ["", " ".join(KINDS)], ids=["sound", "leaking"])
def test_short_soak_finds_what_leaks(leak: str) -> None:
    """Shapes, swaps, callers who leave and bad input at 70 % of the load: 0 without a leak, 1 with those that were planted."""
    command = [sys.executable, BENCHMARKS / "soak.py", "--minutes", "1", *(["--leak", leak] if leak else [])]

    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=280, check=False)

    assert done.returncode == bool(leak), done.stdout + done.stderr
    assert f"leaks: {', '.join(LEAST) if leak else 'none'}; the ledger balances" in done.stdout
