"""Whether anything of a server grows while clients cancel, reset, vanish and come back: `python benchmarks/grpc_soak.py --minutes 30`.

All of it goes over the native transport at once: calls and streams that are answered, that are called off half-way, and connections
that are cut with everything under way on them. About once a second it is noted what the server holds (`holdings.py`): the slope of each
figure is told with its 95 % interval, the first quarter left out. Before, for a minute, many more clients do the same, so that nothing
is there for the first time later. At the end, with all clients gone, nothing may be left of them.
"""

import argparse
import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import grpc
import grpc.aio
from grpc_call import Client, frame
from grpc_infer import METHOD, message_of_mlp
from harness import Server, cores, environment, serving_mlp
from holdings import LEAST, SOAKED, descriptors, holdings, pause
from slope import Slope

STREAM: Final = METHOD.replace("ModelInfer", "ModelStreamInfer")
MINUTES: Final = 1.0
_CLIENTS: Final = 4
_WARM_CLIENTS, _WARM_S = 4 * _CLIENTS, 60.0
_EARLY_PART: Final = 1 / 4
_LEAVE_S: Final = 20.0


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
    """Note about once a second meanwhile what the process holds."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in LEAST}

    async def note() -> None:
        while True:
            now_s = time.monotonic()
            for name, figure in holdings(pid).items():
                seen[name].append((now_s, figure))
            await pause()

    noter = asyncio.create_task(note())
    try:
        yield seen
    finally:
        noter.cancel()
        await asyncio.gather(noter, return_exceptions=True)


def serving_soaked() -> contextlib.AbstractContextManager[Server]:
    """Serve from a process that tells what it has in use."""
    return serving_mlp(cores()[0], "grpc.transport=native", "defaults.slo_ms=60000", penstock=SOAKED)


async def soak(server: Server, seconds: float) -> tuple[dict[str, Slope], Counter[str], int]:
    """Return the slopes, what was done, and how many descriptors are left of it."""
    before = descriptors(server.pid)
    await crowd(server.grpc, _WARM_CLIENTS, _WARM_S)
    async with noting(server.pid) as seen:
        done = await crowd(server.grpc, _CLIENTS, seconds)
    gone_s = time.monotonic() + _LEAVE_S
    while descriptors(server.pid) > before and time.monotonic() < gone_s:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.1)
    return {what: slope_of(samples) for what, samples in seen.items()}, done, descriptors(server.pid) - before


async def crowd(address: str, clients: int, seconds: float) -> Counter[str]:
    """Have so many clients behave for so long; returns what they did."""
    done: Counter[str] = Counter()
    ends_s = time.monotonic() + seconds
    await asyncio.gather(*(behave(address, ends_s, seed, done) for seed in range(clients)))
    return done


def slope_of(samples: Sequence[tuple[float, float]]) -> Slope:
    """Return the slope of figures over times in seconds, but for the early ones."""
    times, figures = zip(*samples[int(len(samples) * _EARLY_PART) :], strict=True)
    return Slope.of(times, figures)


def main() -> None:
    """Soak and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    print(environment(), flush=True)
    with serving_soaked() as server:
        slopes, done, left = asyncio.run(soak(server, parser.parse_args().minutes * 60))
    print(*(f"{what:12} {slope}" for what, slope in slopes.items()), dict(sorted(done.items())), f"descriptors left: {left}", sep="\n")


if __name__ == "__main__":
    main()
