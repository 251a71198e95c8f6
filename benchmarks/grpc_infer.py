"""What a raw prediction over gRPC costs the server, beside a bare grpc.aio echo of the same sizes and metadata."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import numpy as np
from bare_run import BareRun
from grpc_echo import METHOD
from harness import CONNECTIONS, ROUNDS, Cost, Load, Row, Server, cores, cost, example_row, median, pinned

from penstock.wire import inference as pb

BUDGET: Final = 1.25
# Each channel a connection of its own: by default channels to one address share theirs.
_OPTIONS: Final = [("grpc.use_local_subchannel_pool", 1)]


def measure(server: Server, bare: BareRun) -> list[Row]:
    """Take turns between the server and the echo."""
    message = _message()
    answer, metadata = asyncio.run(_answer(server.grpc, message))
    with _echo(len(answer), metadata) as (echo_pid, echo_address):
        targets = {"ours": (server.pid, server.grpc), "echo": (echo_pid, echo_address)}
        costs: dict[str, list[Cost]] = {name: [] for name in targets}
        for _, address in targets.values():
            ask(address, message, 1)
        for _ in range(ROUNDS):
            for name, (pid, address) in targets.items():
                costs[name].append(cost(pid, partial(ask, address, message)))
    ours, echo = median(costs["ours"]), median(costs["echo"])
    return [
        Row("gRPC raw, CPU per request", ours.cpu_us, "us", beside=f"{ours.cpu_us / bare.cpu_us:.1f}x bare run; {ours}"),
        Row("bare grpc.aio echo, CPU per request", echo.cpu_us, "us", beside=str(echo)),
        Row("gRPC raw / bare echo, CPU", ours.cpu_us / echo.cpu_us, "x", BUDGET),
    ]


def ask(address: str, message: bytes, seconds: float) -> Load:
    """Ask for some seconds, one call at a time on each connection; raises `grpc.RpcError` if one fails."""
    return asyncio.run(_ask(address, message, seconds))


def _message() -> bytes:
    request = pb.ModelInferRequest(model_name="mlp")
    request.inputs.add(name="X", datatype="FP32", shape=[1, 64])
    request.raw_input_contents.append(example_row().tobytes())
    return bytes(request.SerializeToString())


async def _answer(address: str, message: bytes) -> tuple[bytes, list[tuple[str, str]]]:
    """Return what a call brings back: the echo is to send as much."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD)(message)
        answer: bytes = await call
        metadata: Any = await call.trailing_metadata()
        return answer, [(str(key), str(value)) for key, value in metadata or ()]


async def _ask(address: str, message: bytes, seconds: float) -> Load:
    async with contextlib.AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(grpc.aio.insecure_channel(address, options=_OPTIONS)) for _ in range(CONNECTIONS)]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        started = time.perf_counter()
        taken = [t for one in await asyncio.gather(*(_ask_on_one(c, message, started + seconds) for c in channels)) for t in one]
        elapsed = time.perf_counter() - started
    p50, p99 = np.percentile(taken, (50, 99)) * 1e6
    return Load(len(taken), elapsed, float(p50), float(p99))


async def _ask_on_one(channel: grpc.aio.Channel, message: bytes, until: float) -> list[float]:
    call = channel.unary_unary(METHOD)
    taken: list[float] = []
    while (sent := time.perf_counter()) < until:
        await call(message)
        taken.append(time.perf_counter() - sent)
    return taken


@contextlib.contextmanager
def _echo(size: int, metadata: list[tuple[str, str]]) -> Iterator[tuple[int, str]]:
    """Run the echo on the server's core; yields its pid and address."""
    script = Path(__file__).with_name("grpc_echo.py")
    with pinned(cores()[0]):
        command = [sys.executable, str(script), str(size), *(f"{key}={value}" for key, value in metadata)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None or not (port := process.stdout.readline().strip()):
            raise RuntimeError("the echo did not start")
        yield process.pid, f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
