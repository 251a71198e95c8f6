"""Everything that callers do to a server, at a rate: shapes that never repeat, bad input, callers who leave, over HTTP and gRPC."""

import asyncio
import json
import random
import re
import time
from collections import Counter
from typing import Any, Final, Self

import grpc.aio
import numpy as np

_LENGTH: Final = re.compile(rb"(?i)content-length: *(\d+)")
_HEAD_END: Final = b"\r\n\r\n"
_BAD: Final = (
    b"{",
    b"[]",
    b'{"inputs": []}',
    b'{"inputs": [{"name": "Y", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}',
    b'{"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, -1], "data": [1]}]}',
    b'{"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1]}]}',
    b'{"inputs": [{"name": "X", "datatype": "INT8", "shape": [1, 1], "data": [1]}]}',
    b"\xff" * 100,
)
_METHOD: Final = "/inference.GRPCInferenceService/ModelInfer"


class Traffic:
    """Callers that go on until they are told to stop; a context manager. Counts what they were told."""

    def __init__(self, http: str, rpc: str, rate: float, connections: int = 8) -> None:
        """`rate` is that of all together, each second; 0 for as fast as they are answered."""
        self.told: Counter[str] = Counter()
        self._host, _, port = http.rpartition(":")
        self._port = int(port)
        self._rpc = rpc
        self._pause_s = connections / rate if rate else 0.0
        self._connections = connections
        self._random = random.Random(7)
        self._tasks: list[asyncio.Task[None]] = []
        self._over = False

    async def __aenter__(self) -> Self:
        self._channel = grpc.aio.insecure_channel(self._rpc)
        self._call = self._channel.unary_unary(_METHOD, lambda data: data, lambda data: data)
        self._tasks = [asyncio.create_task(self._over_http()) for _ in range(self._connections - 1)]
        self._tasks.append(asyncio.create_task(self._over_grpc()))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._channel.close()
        for end in ends:
            if isinstance(end, Exception):  # a caller who was told what makes no sense has asked no more
                raise end

    async def _over_http(self) -> None:
        due_s = time.monotonic() + self._random.random() * self._pause_s
        while True:
            reader, writer = await asyncio.open_connection(self._host, self._port)
            try:
                while await self._asked(reader, writer):
                    due_s = max(due_s + self._pause_s, time.monotonic() - 1)
                    await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            except (ConnectionError, asyncio.IncompleteReadError):
                self.told["cut off"] += 1
            finally:
                writer.close()

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Ask once; returns whether the connection is there for another question."""
        drawn = self._random.random()
        body = self._random.choice(_BAD) if drawn < 0.1 else _question(self._random)
        model = "tagged" if body.startswith(b'{"tagged') else "id_fp32"
        writer.write(f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: soak\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        if drawn > 0.95:
            self.told["left"] += 1
            return False
        head = await reader.readuntil(_HEAD_END)
        length = _LENGTH.search(head)
        await reader.readexactly(int(length[1]) if length else 0)
        self.told[head[9:12].decode()] += 1
        return b"connection: close" not in head.lower()

    async def _over_grpc(self) -> None:
        while True:
            call = self._call(_message(self._random))
            if self._random.random() < 0.3:
                await asyncio.sleep(0)
                call.cancel()
            try:
                await call
                self.told["OK"] += 1
            except asyncio.CancelledError:
                if self._over:
                    raise
                self.told["cancelled"] += 1
            except grpc.aio.AioRpcError as error:
                self.told[error.code().name] += 1
            await asyncio.sleep(self._pause_s)


def _question(source: random.Random) -> bytes:
    """Return a question of a shape that is seldom the same; the key before it says which model is asked."""
    rows = source.randint(1, 8)
    tagged = source.random() < 0.2
    shape = [rows, 4 if tagged else source.randint(1, 64)]
    tensor = {"name": "X", "datatype": "FP32", "shape": shape, "data": [0.5] * (shape[0] * shape[1])}
    asked: dict[str, Any] = {"inputs": [tensor]}
    return json.dumps({"tagged": 1, **asked} if tagged else asked).encode()


def _message(source: random.Random) -> bytes:
    """Return a ModelInferRequest of one raw tensor."""
    from penstock.wire import inference as pb  # noqa: PLC0415 - after the path was set up

    shape = [source.randint(1, 8), source.randint(1, 64)]
    request = pb.ModelInferRequest(model_name="id_fp32", raw_input_contents=[np.ones(shape, "<f4").tobytes()])
    request.inputs.add(name="X", datatype="FP32", shape=shape)
    return request.SerializeToString()
