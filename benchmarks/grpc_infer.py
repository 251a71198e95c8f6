"""What a raw prediction over gRPC costs the server, over either transport, beside a bare grpc.aio echo of the same sizes and metadata.

Each call on its own, and as messages of streams that stay open.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio
import numpy as np
from bare_run import BareRun
from grpc_echo import METHOD, STREAM_METHOD
from harness import CONNECTIONS, ROUNDS, Cost, Load, Row, Server, cores, cost, example_row, median, pinned, serving_mlp

from penstock.wire import inference as pb

BUDGET: Final = 1.25
# Each channel a connection of its own: by default channels to one address share theirs.
_OPTIONS: Final = [("grpc.use_local_subchannel_pool", 1)]

Client = Callable[[grpc.aio.Channel, bytes, float], Awaitable[list[float]]]
"""Asks on one channel, one message after the other, until a time; returns what each took, in seconds."""


class Answer(NamedTuple):
    """What a call brings back: the echo is to send as much."""

    message: bytes
    in_stream: bytes
    metadata: list[tuple[str, str]]


async def unary(channel: grpc.aio.Channel, message: bytes, until: float) -> list[float]:
    """Ask by ModelInfer; raises `grpc.RpcError` if a call fails."""
    call = channel.unary_unary(METHOD)
    taken: list[float] = []
    while (sent := time.perf_counter()) < until:
        await call(message)
        taken.append(time.perf_counter() - sent)
    return taken


async def stream(channel: grpc.aio.Channel, message: bytes, until: float, *, answer_bytes: int) -> list[float]:
    """Ask in one call of ModelStreamInfer; raises `grpc.RpcError` if it fails, `RuntimeError` for another answer than that."""
    call = channel.stream_stream(STREAM_METHOD)()
    taken: list[float] = []
    while (sent := time.perf_counter()) < until:
        await call.write(message)
        if len(await call.read()) != answer_bytes:
            raise RuntimeError("the server refused a message of a stream")
        taken.append(time.perf_counter() - sent)
    await call.done_writing()
    await call.read()
    return taken


def measure(server: Server, bare: BareRun) -> list[Row]:
    """Take turns between the server, one with grpcio, and the echo."""
    message = message_of_mlp()
    answer = answer_of(server.grpc, message)
    with serving_mlp(cores()[0], "grpc.transport=grpcio") as grpcio, echo(answer) as (echo_pid, echo_address):
        targets = {"": (server.pid, server.grpc), " over grpcio": (grpcio.pid, grpcio.grpc), "echo": (echo_pid, echo_address)}
        streaming = partial(stream, answer_bytes=len(answer.in_stream))
        calls, messages = (_costs(targets, message, client) for client in (unary, streaming))
    return _rows("gRPC raw", "request", calls, bare) + _rows("gRPC stream", "message", messages, bare)


def _costs(targets: dict[str, tuple[int, str]], message: bytes, client: Client) -> dict[str, Cost]:
    costs: dict[str, list[Cost]] = {name: [] for name in targets}
    for _, address in targets.values():
        ask(address, message, 1, client)
    for _ in range(ROUNDS):
        for name, (pid, address) in targets.items():
            costs[name].append(cost(pid, partial(ask, address, message, client=client)))
    return {name: median(rounds) for name, rounds in costs.items()}


def _rows(what: str, unit: str, costs: dict[str, Cost], bare: BareRun) -> list[Row]:
    echo = costs.pop("echo")
    rows = [Row(f"bare grpc.aio echo, CPU per {unit}", echo.cpu_us, "us", beside=str(echo))]
    for over, ours in costs.items():
        rows.append(Row(f"{what}{over}, CPU per {unit}", ours.cpu_us, "us", beside=f"{ours.cpu_us / bare.cpu_us:.1f}x bare run; {ours}"))
        rows.append(Row(f"{what}{over} / bare echo, CPU", ours.cpu_us / echo.cpu_us, "x", BUDGET))
    return rows


def ask(address: str, message: bytes, seconds: float, client: Client = unary) -> Load:
    """Ask for some seconds, one message at a time on each connection; raises `grpc.RpcError` if one fails."""
    return asyncio.run(_ask(address, message, seconds, client))


def message_of_mlp() -> bytes:
    """Return the question of every call."""
    request = pb.ModelInferRequest(model_name="mlp")
    request.inputs.add(name="X", datatype="FP32", shape=[1, 64])
    request.raw_input_contents.append(example_row().tobytes())
    return bytes(request.SerializeToString())


def answer_of(address: str, message: bytes) -> Answer:
    """Return what a call and a message bring back; raises `RuntimeError` if the latter is an error."""
    return asyncio.run(_answer(address, message))


async def _answer(address: str, message: bytes) -> Answer:
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD)(message)
        answer: bytes = await call
        metadata: Any = await call.trailing_metadata()
        (in_stream,) = [one async for one in channel.stream_stream(STREAM_METHOD)([message])]
        if pb.ModelStreamInferResponse.FromString(in_stream).error_message:
            raise RuntimeError("the server refused the message of a stream")
        return Answer(answer, in_stream, [(str(key), str(value)) for key, value in metadata or ()])


async def _ask(address: str, message: bytes, seconds: float, client: Client) -> Load:
    async with contextlib.AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(grpc.aio.insecure_channel(address, options=_OPTIONS)) for _ in range(CONNECTIONS)]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        started = time.perf_counter()
        taken = [t for one in await asyncio.gather(*(client(c, message, started + seconds) for c in channels)) for t in one]
        elapsed = time.perf_counter() - started
    p50, p99 = np.percentile(taken, (50, 99)) * 1e6
    return Load(len(taken), elapsed, float(p50), float(p99))


@contextlib.contextmanager
def echo(answer: Answer) -> Iterator[tuple[int, str]]:
    """Run the echo on the server's core; yields its pid and address."""
    script = Path(__file__).with_name("grpc_echo.py")
    with pinned(cores()[0]):
        sizes = (str(len(answer.message)), str(len(answer.in_stream)))
        command = [sys.executable, str(script), *sizes, *(f"{key}={value}" for key, value in answer.metadata)]
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
