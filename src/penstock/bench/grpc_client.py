"""Asks over gRPC; with `penstock.grpc` the only door to grpcio."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import grpc
import grpc.aio

from penstock.bench.bodies import INFER, STREAM
from penstock.bench.client import Done, Failure
from penstock.bench.plan import CannotMeasure, Target
from penstock.wire import inference as pb

_METADATA: Final = "/inference.GRPCInferenceService/ModelMetadata"
_OPTIONS: Final = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_ERROR_MESSAGE: Final = b"\x0a"
"""How a ModelStreamInferResponse begins whose error_message, field 1, is not empty."""
_PATIENCE_S: Final = 10
_MS_PER_S: Final = 1000


def inputs_over_grpc(target: Target, patience_s: float) -> list[tuple[str, str, Sequence[int]]]:
    """Return name, datatype and shape of each input of the model. Raises `CannotMeasure` if the server does not tell."""
    message = pb.ModelMetadataRequest(name=target.model, version=target.version).SerializeToString()
    with grpc.insecure_channel(target.address) as channel:
        try:
            answer = channel.unary_unary(_METADATA)(message, timeout=patience_s, metadata=_metadata(target))
        except grpc.RpcError as error:
            raise CannotMeasure(_why(target, error)) from error
    return [(one.name, one.datatype, list(one.shape)) for one in pb.ModelMetadataResponse.FromString(answer).inputs]


def _why(target: Target, error: Any) -> str:  # noqa: ANN401 - grpcio's errors are two classes at once
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return f"nothing answers at {target.url}: {error.details()}"
    return f"{target.url} answered {error.code().name} when asked for the model {target.model!r}: {error.details()}"


def _metadata(target: Target) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in target.headers]


class _Channel:
    """What both clients share: a channel of their own, and tasks that are held until they end."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._metadata = _metadata(target)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, connections: int) -> None:
        """Connect; raises `CannotMeasure` if nobody listens."""
        self._channel = grpc.aio.insecure_channel(self._target.address, options=_OPTIONS)
        try:
            await asyncio.wait_for(self._channel.channel_ready(), _PATIENCE_S)
        except TimeoutError as error:
            raise CannotMeasure(f"nothing answers at {self._target.url}") from error
        await self._prepare(connections)

    async def _prepare(self, connections: int) -> None:
        raise NotImplementedError

    def ask(self, body: bytes, done: Done) -> None:
        """Send a request."""
        task = asyncio.create_task(self._ask(body, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, body: bytes, done: Done) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        """Call off what is under way, and close the channel."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._channel.close()


class GrpcClient(_Channel):
    """One unary call for each request."""

    async def _prepare(self, connections: int) -> None:
        del connections  # calls share the connection
        self._call = self._channel.unary_unary(INFER)
        deadline_ms = self._target.deadline_ms
        self._timeout_s = None if deadline_ms is None else deadline_ms / _MS_PER_S

    async def _ask(self, body: bytes, done: Done) -> None:
        try:
            await self._call(body, timeout=self._timeout_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            done(Failure(error.code().name, error.details() or ""))
        else:
            done(None)


class GrpcStreamClient(_Channel):
    """Streams with one request at a time on each; the one that was free last is used next."""

    async def _prepare(self, connections: int) -> None:
        self._call = self._channel.stream_stream(STREAM)
        self._idle = [self._call(metadata=self._metadata) for _ in range(connections)]

    async def _ask(self, body: bytes, done: Done) -> None:
        stream = self._idle.pop() if self._idle else self._call(metadata=self._metadata)
        try:
            await stream.write(body)
            answer = await stream.read()
        except grpc.aio.AioRpcError as error:
            done(Failure(error.code().name, error.details() or ""))
        except asyncio.InvalidStateError:
            done(Failure("stream", f"the server ended the stream: {await stream.details()}"))
        else:
            self._answered(stream, answer, done)

    def _answered(self, stream: Any, answer: Any, done: Done) -> None:  # noqa: ANN401 - a message's bytes, or EOF
        if answer is grpc.aio.EOF:
            done(Failure("stream", "the server ended the stream before it answered"))
            return
        self._idle.append(stream)
        failed = answer.startswith(_ERROR_MESSAGE)
        done(Failure("stream", pb.ModelStreamInferResponse.FromString(answer).error_message) if failed else None)
