"""Whether anything grows while a server serves: `python benchmarks/soak.py [--minutes 30] [--leak memory]`.

At 70 % of what the server answers to the same callers without a pause, everything at once: shapes that never repeat, one question in
ten is bad, one caller in twenty leaves (three in ten over gRPC), and a model gets a new version every few seconds. After a third of
the time, which is the warm-up, the slope of each figure of `holdings.py` is taken, with its 95 % interval. Exit code 0: nothing rises
for certain by what matters. `--leak` has the server leak on purpose, which has to end with 1.
"""

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from harness import ROOT, environment, load_file
from holdings import FILE, LEAST, SOAKED, holdings, pause
from slope import Slope
from soak_traffic import Traffic

sys.path.insert(0, str(ROOT / "tests" / "contract"))

_MEASURED_S: Final = 5.0
_LOAD: Final = 0.7
_WARM_PART: Final = 1 / 3
_SWAP_S: Final = 5.0


@contextlib.contextmanager
def serve(directory: Path, leak: str, transport: str) -> Iterator[Any]:
    """Serve two models, of which one is to be swapped, from a process that tells of its tasks."""
    from serving import Serving  # noqa: PLC0415 - of the tests, whose directory is in the path by now

    models = load_file("build", ROOT / "tests" / "models" / "build.py")
    registry = directory / "registry"
    models.write_configured_model(registry, "id_fp32", models.identity("id_fp32", "float", "batch,n"), 8)
    models.write_tagged(registry, 1)
    serving = Serving(registry, directory)
    serving.command = [*SOAKED]
    kept = ("defaults.payloads.sample=0.1", "payloads.rotate_s=5", "models.tagged.keep_warm_s=0")
    with serving.during(f'grpc.transport="{transport}"', 'models.tagged.monitoring.drift="live"', *kept):
        (directory / "leak").write_text(leak)
        yield serving


async def capacity(serving: Any) -> float:  # noqa: ANN401 - of the tests
    """Return how many questions in a second are answered to callers who never pause."""
    async with Traffic(serving.addresses["http"], serving.addresses["grpc"], 0) as traffic:
        await asyncio.sleep(_MEASURED_S)
    return sum(traffic.told.values()) / _MEASURED_S


async def soak(serving: Any, directory: Path, seconds: float, rate: float) -> tuple[list[tuple[float, ...]], Traffic]:  # noqa: ANN401
    """Return readings: time, and the figures of `LEAST` in its order."""
    readings: list[tuple[float, ...]] = []
    began_s = time.monotonic()
    async with Traffic(serving.addresses["http"], serving.addresses["grpc"], rate) as traffic:
        swaps = asyncio.create_task(_swap(serving))
        while (now_s := time.monotonic() - began_s) < seconds and not swaps.done():
            if (directory / FILE).exists():
                readings.append((now_s, *holdings(serving.pid).values()))
            await pause()
        swaps.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await swaps  # raises why versions could not be swapped
    return readings, traffic


async def _swap(serving: Any) -> None:  # noqa: ANN401
    models, number = load_file("build", ROOT / "tests" / "models" / "build.py"), 1
    while True:
        await asyncio.sleep(_SWAP_S)
        number += 1
        models.write_tagged(serving.registry, number)
        answer = await asyncio.to_thread(serving.load, "tagged")
        answer.raise_for_status()
        shutil.rmtree(serving.registry / "tagged" / str(number - 1))


def report(readings: list[tuple[float, ...]]) -> list[str]:
    """Print the slopes; returns what leaks."""
    warm = [reading for reading in readings if reading[0] > readings[-1][0] * _WARM_PART]
    times, *figures = (list(column) for column in zip(*warm, strict=True))
    leaks = []
    for (name, least), values in zip(LEAST.items(), figures, strict=True):
        slope = Slope.of(times, values)
        leaks += [name] if slope.is_leak(least) else []
        print(f"{name:12} {values[0]:8.1f} -> {values[-1]:8.1f}  {slope}{'  LEAK' if name in leaks else ''}")
    return leaks


def main() -> int:
    """Soak and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--leak", default="", help="what to leak on purpose: memory, descriptors, threads, tasks, or several")
    parser.add_argument("--transport", default="native", choices=("native", "grpcio"), help="what carries gRPC")
    arguments = parser.parse_args()
    print(environment())
    with tempfile.TemporaryDirectory(prefix="penstock-soak-") as name, serve(Path(name), arguments.leak, arguments.transport) as serving:
        rate = _LOAD * asyncio.run(capacity(serving))
        readings, traffic = asyncio.run(soak(serving, Path(name), 60 * arguments.minutes, rate))
        print(f"{rate:,.0f}/s wanted, {sum(traffic.told.values()) / 60 / arguments.minutes:,.0f}/s told: {dict(traffic.told)}")
        leaks = report(readings)
    print(f"leaks: {', '.join(leaks) or 'none'}; the ledger balances")
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main())
