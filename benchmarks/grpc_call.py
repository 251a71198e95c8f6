"""What a call costs in process, without sockets: `python benchmarks/grpc_call.py [--beside SRC]`, half a minute.

Bytes go in as a client on 8 streams would send them, a real predictor runs a 64-128-10 perceptron on the event loop, and what
would go to the socket is counted. CPU of the thread per call, the least of many rounds. `--beside` names another `src`, or what
`make native` has compiled: rounds of both take turns, each in a process of its own, so that what else the machine does meets both.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any, Final

import uvloop
from grpc_infer import message_of_mlp
from harness import ROOT, load_file
from hpack import Encoder

from penstock.grpc.connection import GrpcConnection
from penstock.grpc.options import GrpcOptions
from penstock.grpc.service import InferenceService
from penstock.grpc.transport import NativeServer
from penstock.inference.admission import Admission
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Predictor
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager
from penstock.lifecycle.options import ModelOptions
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.verified import VerifiedRegistry

ROUNDS, TURNS, AT_ONCE = 40, 32, 8
_SERVICE: Final = "/inference.GRPCInferenceService/"
_GREETING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_WINDOW: Final = 1 << 30


class Wire:
    """The socket's side of a connection: counts the answers that are written to it."""

    def __init__(self) -> None:
        self.answers = 0

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        """Return whom the connection comes from."""
        return ("127.0.0.1", 1) if name == "peername" else None

    def write(self, data: bytes) -> None:
        """Count: every answer names its model once."""
        self.answers += data.count(b"mlp")

    def is_closing(self) -> bool:
        """Tell that it is not."""
        return False

    def get_write_buffer_size(self) -> int:
        """Return that nothing waits."""
        return 0

    def set_write_buffer_limits(self, high: int) -> None:
        """Need none."""


class Client:
    """What a client sends on one connection."""

    def __init__(self) -> None:
        message = message_of_mlp()
        self._body = b"\0" + len(message).to_bytes(4, "big") + message
        self._encoder = Encoder()
        self._last_id = -1

    def greeting(self) -> bytes:
        """Return what a connection begins with; its windows are wide open."""
        window = _WINDOW.to_bytes(4, "big")
        return _GREETING + frame(4, 0, 0, b"\0\4" + window) + frame(8, 0, 0, window)

    def opens(self, method: str) -> bytes:
        """Return the fields of a call."""
        self._last_id += 2
        fields = [
            (":method", "POST"), (":scheme", "http"), (":path", _SERVICE + method), (":authority", "server"), ("te", "trailers"),
            ("content-type", "application/grpc"), ("user-agent", "grpc-python/1.85.1"), ("grpc-accept-encoding", "identity, gzip"),
        ]  # fmt: skip
        return frame(1, 4, self._last_id, self._encoder.encode(fields))

    def calls(self, count: int) -> bytes:
        """Return whole calls."""
        return b"".join(self.opens("ModelInfer") + frame(0, 1, self._last_id, self._body) for _ in range(count))

    def messages(self, count: int) -> bytes:
        """Return messages on the stream that was opened last."""
        return frame(0, 0, self._last_id, self._body) * count


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Return a frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


@contextlib.asynccontextmanager
async def predicting(directory: Path) -> AsyncIterator[NativeServer]:
    """Build what stands behind a connection, without a listener."""
    load_file("build", ROOT / "tests" / "models" / "build.py").write_mlp(directory / "models")
    catalog, admission = Catalog(), Admission(30.0, 600.0)
    source = VerifiedRegistry(DirectorySource(directory / "models"), Cache(directory / "cache"))
    manager = Manager(source, Loader(source, ModelOptions(slo_ms=5_000.0), {}), catalog, poll_s=0)
    await manager.start()
    nothing: Any = None
    service = InferenceService(Predictor(Ledger(catalog), admission, catalog), manager, lambda: True, nothing, nothing)
    server = NativeServer(service, GrpcOptions())
    try:
        yield server
    finally:
        await server.stop(0)
        await manager.aclose()


class Round:
    """One connection, and what it costs to ask on it."""

    def __init__(self, server: NativeServer) -> None:
        self.client = Client()
        self.wire: Any = Wire()
        self.connection = GrpcConnection(server)
        self.connection.connection_made(self.wire)
        self.connection.data_received(self.client.greeting())

    async def unary(self) -> float:
        """Return the CPU of a call, us."""
        return await self._cost([self.client.calls(AT_ONCE) for _ in range(TURNS)])

    async def stream(self) -> float:
        """Return the CPU of a message of a stream, us."""
        self.connection.data_received(self.client.opens("ModelStreamInfer"))
        return await self._cost([self.client.messages(AT_ONCE) for _ in range(TURNS)])

    async def _cost(self, questions: list[bytes]) -> float:
        began_ns, due = time.thread_time_ns(), self.wire.answers
        for question in questions:
            due += AT_ONCE
            self.connection.data_received(question)
            while self.wire.answers < due:  # noqa: ASYNC110 - a turn of the loop is what is measured
                await asyncio.sleep(0)
        return (time.thread_time_ns() - began_ns) / (AT_ONCE * len(questions)) / 1e3


async def work(directory: Path) -> None:
    """Measure a round whenever a line comes in."""
    async with predicting(directory) as server:
        while await asyncio.to_thread(sys.stdin.readline):
            once = Round(server)
            print(json.dumps({"unary call": await once.unary(), "message of a stream": await once.stream()}), flush=True)
            once.connection.connection_lost(None)


@contextlib.contextmanager
def worker(source: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `work` on a source tree."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        command = [sys.executable, __file__, "--work", name]
        environment = {**os.environ, "PYTHONPATH": source}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as running:
            try:
                yield running
            finally:
                _pipe(running.stdin).close()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None, "asked for"
    return pipe


def ask(running: "subprocess.Popen[str]") -> dict[str, float]:
    """Return what one round costs."""
    print(file=_pipe(running.stdin), flush=True)
    costs: dict[str, float] = json.loads(_pipe(running.stdout).readline())
    return costs


def compare(sources: list[str], rounds: int) -> None:
    """Take turns, and print the least of each."""
    with contextlib.ExitStack() as stack:
        workers = {source: stack.enter_context(worker(source)) for source in sources}
        seen = {source: [ask(running)] for source, running in workers.items()}
        for _ in range(rounds):
            for source, running in workers.items():
                seen[source].append(ask(running))
    for what in seen[sources[0]][0]:
        least = {source: min(costs[what] for costs in rounds) for source, rounds in seen.items()}
        first = least[sources[0]]
        print(f"{what}: " + ", ".join(f"{source} {cost:.1f} us ({cost / first:.2f})" for source, cost in least.items()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--beside", action="append", default=[], help="another source tree")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        uvloop.run(work(arguments.work))
    else:
        compare([str(ROOT / "src"), *arguments.beside], arguments.rounds)


if __name__ == "__main__":
    main()
