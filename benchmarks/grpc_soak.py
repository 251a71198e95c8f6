"""Whether anything of a server grows while clients cancel, reset, vanish and come back: `python benchmarks/grpc_soak.py --minutes 30`.

All of it goes over the native transport at once: calls and streams that are answered, that are called off half-way, and connections
that are cut with everything under way on them. Once a second the server's memory, without the pages of libraries, and its
descriptors are noted; the slope of each is told with its 95 % interval, the first quarter left out. At the end, with all clients
gone, nothing may be left of them.
"""

import argparse
import asyncio
import contextlib
import math
import random
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import grpc
import grpc.aio
from grpc_call import Client, frame
from grpc_infer import METHOD, message_of_mlp
from harness import Server, cores, environment, serving_mlp

from penstock.execution.memory import own_bytes

STREAM: Final = METHOD.replace("ModelInfer", "ModelStreamInfer")
MINUTES: Final = 1.0
MIB: Final = 1024**2
_BLOCKS: Final = 10
_CLIENTS: Final = 4
_T_OF_8: Final = 2.306
"""Student's t for 95 % and the eight degrees of freedom of ten blocks."""
_LEAVE_S: Final = 20.0


class Slope(NamedTuple):
    """How a figure goes on, in units per minute, with a 95 % interval."""

    what: str
    per_minute: float
    low: float
    high: float
    first: float
    last: float

    def __str__(self) -> str:
        return f"{self.what}: {self.per_minute:+.3f} per minute ({self.low:+.3f} to {self.high:+.3f}); {self.first:.1f} to {self.last:.1f}"


def slope_of(what: str, samples: Sequence[tuple[float, float]]) -> Slope:
    """Return the slope of figures over times in seconds: blocks of neighbours, which hang together, count as one each."""
    samples = samples[len(samples) // 4 :]
    size = max(1, len(samples) // _BLOCKS)
    blocks = [samples[start : start + size] for start in range(0, size * _BLOCKS, size)]
    times, means = ([statistics.fmean(pair[column] for pair in block) for block in blocks] for column in (0, 1))
    slope, begin = statistics.linear_regression(times, means)
    left = sum((mean - begin - slope * at) ** 2 for at, mean in zip(times, means, strict=True))
    spread = sum((at - statistics.fmean(times)) ** 2 for at in times)
    error = _T_OF_8 * math.sqrt(left / (_BLOCKS - 2) / spread)
    return Slope(what, slope * 60, (slope - error) * 60, (slope + error) * 60, means[0], means[-1])


async def calls(channel: grpc.aio.Channel, rng: random.Random) -> str:
    """Have a few calls answered, some of them at once."""
    ask = channel.unary_unary(METHOD)
    await asyncio.gather(*(ask(message_of_mlp(), timeout=20) for _ in range(rng.randrange(1, 20))))
    return "calls"


async def cancels(channel: grpc.aio.Channel, rng: random.Random) -> str:
    """Call calls off, as soon as they are made or a little later."""
    asked = [channel.unary_unary(METHOD)(message_of_mlp(), timeout=20) for _ in range(5)]
    await asyncio.sleep(rng.random() * 0.002)
    for call in asked:
        call.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    return "cancels"


async def streams(channel: grpc.aio.Channel, rng: random.Random) -> str:
    """Ask in a stream, and end it or call it off with answers under way."""
    call = channel.stream_stream(STREAM)(timeout=20)
    for _ in range(rng.randrange(1, 10)):
        await call.write(message_of_mlp())
    if rng.random() < 0.5:
        call.cancel()
        return "streams called off"
    await call.done_writing()
    while await call.read() is not grpc.aio.EOF:
        pass
    return "streams"


async def vanish(address: str, rng: random.Random) -> str:
    """Ask by hand, reset some, leave something half said, and cut the connection."""
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    client = Client()
    writer.write(client.greeting() + client.calls(rng.randrange(1, 10)))
    for stream_id in range(1, 2 * rng.randrange(1, 10), 2):
        writer.write(frame(3, 0, stream_id, (8).to_bytes(4, "big")))
    writer.write(client.opens("ModelStreamInfer") + client.messages(3) + client.calls(1)[: rng.randrange(1, 100)])
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    writer.transport.abort()
    return "connections cut"


async def behave(address: str, ends_s: float, seed: int, done: Counter[str]) -> None:
    """Do one thing after the other, on a channel that is given up now and then."""
    rng, acts = random.Random(seed), [calls, cancels, streams]
    while time.monotonic() < ends_s:
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            for _ in range(rng.randrange(1, 30)):
                act: Callable[[grpc.aio.Channel, random.Random], Awaitable[str]] = rng.choice(acts)
                try:
                    done[await act(channel, rng)] += 1
                except grpc.aio.AioRpcError as error:
                    done[f"{act.__name__}: {error.code().name}"] += 1
                await asyncio.sleep(0)
        done[await vanish(address, rng)] += 1
        done["channels"] += 1


@contextlib.asynccontextmanager
async def noting(pid: int) -> AsyncIterator[dict[str, list[tuple[float, float]]]]:
    """Note memory and descriptors once a second meanwhile."""
    seen: dict[str, list[tuple[float, float]]] = {"memory, MiB": [], "descriptors": []}

    async def note() -> None:
        while True:
            now = time.monotonic()
            seen["memory, MiB"].append((now, own_bytes(pid) / MIB))
            seen["descriptors"].append((now, float(descriptors(pid))))
            await asyncio.sleep(1 if len(seen["descriptors"]) > _BLOCKS else 0.1)

    noter = asyncio.create_task(note())
    try:
        yield seen
    finally:
        noter.cancel()
        await asyncio.gather(noter, return_exceptions=True)


def descriptors(pid: int) -> int:
    """Return how many files and sockets a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


async def soak(server: Server, seconds: float, warm_up_s: float = 15) -> tuple[list[Slope], Counter[str], int]:
    """Return the slopes, what was done, and how many descriptors are left of it."""
    done: Counter[str] = Counter()
    before = descriptors(server.pid)
    await asyncio.gather(*(behave(server.grpc, time.monotonic() + warm_up_s, -seed, done) for seed in range(_CLIENTS)))
    done.clear()
    ends_s = time.monotonic() + seconds
    async with noting(server.pid) as seen:
        await asyncio.gather(*(behave(server.grpc, ends_s, seed, done) for seed in range(_CLIENTS)))
    gone_s = time.monotonic() + _LEAVE_S
    while descriptors(server.pid) > before and time.monotonic() < gone_s:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.1)
    return [slope_of(what, samples) for what, samples in seen.items()], done, descriptors(server.pid) - before


def main() -> None:
    """Soak and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    print(environment(), flush=True)
    with serving_mlp(cores()[0], "grpc.transport=native", "defaults.slo_ms=60000") as server:
        slopes, done, left = asyncio.run(soak(server, parser.parse_args().minutes * 60))
    print(*slopes, dict(sorted(done.items())), f"descriptors left: {left}", sep="\n")


if __name__ == "__main__":
    main()
