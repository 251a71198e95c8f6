"""The gRPC listener on grpcio: this file alone knows its server."""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import grpc
import grpc.aio

from penstock.domain.clock import NS_PER_S, monotonic
from penstock.domain.errors import PenstockError
from penstock.grpc.call import AwaitedReply, CallInfo, Ended, Handler, Metadata, StreamHandler, StreamWork, unexpected
from penstock.grpc.certificates import credentials
from penstock.grpc.errors import STATUS_OF, details_of, retry_metadata
from penstock.grpc.guard import Guard
from penstock.grpc.health import NAME as HEALTH
from penstock.grpc.health import Health
from penstock.grpc.methods import Methods
from penstock.grpc.options import GrpcOptions
from penstock.grpc.reflection import reflection_services
from penstock.grpc.service import InferenceService
from penstock.grpc.talk import Write
from penstock.security.tls import Tls

_log = logging.getLogger(__name__)
_PING_INTERVAL_MS: Final = 300_000


class GrpcServer:
    """Carries the inference, health and reflection services over one port. Lives on the event loop that starts it."""

    def __init__(self, service: InferenceService, options: GrpcOptions, guard: Guard | None = None, tls: Tls | None = None) -> None:
        """Without a guard nobody needs a key; without `tls` all is in the clear."""
        self._tls = tls
        self._service = service
        self._guard = guard
        self._health = Health((service.table.name,), service.ready)
        self._services = [service.table, self._health.table]
        if options.reflection:
            self._services += reflection_services([service.table.name, HEALTH])
        self._options = options
        self._server: grpc.aio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port: a free one if 0 is asked for. Raises `OSError` if it cannot be had."""
        server = grpc.aio.server(handlers=[_Calls(Methods(self._services, self._guard))], options=_arguments(self._options))
        bound = _bind(server, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", self._tls)
        await server.start()
        self._server = server
        return bound

    def begin_shutdown(self) -> None:
        """Tell health checks that no more calls should come; calls are still taken."""
        self._health.begin_shutdown()

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, wait for those under way as long as `grace_s`, cancel the rest."""
        self._health.close()
        self._service.close()
        if self._server is not None:
            await self._server.stop(grace_s)


def _arguments(options: GrpcOptions) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", options.max_streams),
        # A port that somebody else listens on is an error; by default the two would share its connections.
        ("grpc.so_reuseport", 0),
        # Clients may keep an idle connection alive, as often as Triton lets them, else they are sent away.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _PING_INTERVAL_MS),
        ("grpc.http2.max_ping_strikes", 2),
    ]


def _bind(server: grpc.aio.Server, address: str, tls: Tls | None) -> int:
    try:
        return int(server.add_insecure_port(address) if tls is None else server.add_secure_port(address, credentials(tls)))
    except RuntimeError as error:
        raise OSError(
            errno.EADDRINUSE,
            f"cannot listen for gRPC on {address}: the port is taken, or the address is not of this machine",
        ) from error


class _Calls:
    """Finds the method of each call, as grpcio wants it: it has the call's metadata at hand just when the call begins."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods

    def service(self, call: grpc.HandlerCallDetails) -> "_UnaryCall | _StreamCall | None":
        """Return what answers the call, None for a method that nobody has; grpcio's name for it."""
        if (stream := self._methods.stream(call.method)) is not None:
            return _StreamCall(stream, call.invocation_metadata)
        unary = self._methods.unary(call.method)
        return None if unary is None else _UnaryCall(unary, call.invocation_metadata)


class _Call:
    """One call as grpcio takes it: without serializers, so that messages stay bytes."""

    __slots__ = ("_metadata",)

    request_streaming = response_streaming = False
    request_deserializer = response_serializer = None

    def __init__(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        self._metadata = metadata

    def _info(self, context: Any) -> CallInfo:  # noqa: ANN401 - grpcio has no types
        remaining_s = context.time_remaining()
        metadata = {name: value for name, value in self._metadata if isinstance(value, str)}
        deadline_ns = None if remaining_s is None else monotonic() + int(remaining_s * NS_PER_S)
        return CallInfo(metadata, deadline_ns, context.peer())


class _UnaryCall(_Call):
    """A call of one message each way."""

    __slots__ = ("_handler",)

    def __init__(self, handler: Handler, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        super().__init__(metadata)
        self._handler = handler

    async def unary_unary(self, request: bytes, context: Any) -> bytes:  # noqa: ANN401 - grpcio has no types
        """Answer; grpcio's name for it."""
        reply, work = AwaitedReply(), None
        try:
            work = self._handler(request, self._info(context), reply)
            ended = reply.ended or await reply
        except asyncio.CancelledError:  # the caller has left, or its deadline has passed
            if work is not None:
                work.cancel()
            raise
        except Exception:
            _log.exception("a call failed unexpectedly")
            ended = Ended(error=unexpected())
        await _end(ended, context)
        return ended.message


class _StreamCall(_Call):
    """A call whose messages stream both ways."""

    __slots__ = ("_handler",)

    request_streaming = response_streaming = True

    def __init__(self, handler: StreamHandler, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        super().__init__(metadata)
        self._handler = handler

    async def stream_stream(self, requests: AsyncIterator[bytes], context: Any) -> None:  # noqa: ANN401 - grpcio has no types
        """Answer until the call ends; grpcio's name for it."""
        try:
            ended = await self._carry(requests, context)
        except grpc.aio.BaseError:  # the connection is gone; grpcio clears up
            raise
        except Exception:
            _log.exception("a stream failed unexpectedly")
            ended = Ended(error=unexpected())
        await _end(ended, context)

    async def _carry(self, requests: AsyncIterator[bytes], context: Any) -> Ended:  # noqa: ANN401 - grpcio has no types
        stream = _Stream(context.write)
        work = self._handler(self._info(context), stream)
        if work is None:
            return stream.ended or Ended()
        reading = asyncio.create_task(stream.read(requests, work))
        try:
            ended = await stream.carry(work)
        finally:
            work.cancel()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        if not reading.cancelled():
            reading.result()  # raises what reading has raised
        return ended


class _Stream:
    """The reply of a stream: one task passes messages on to the work, another writes its answers, one by one."""

    def __init__(self, write: Write) -> None:
        self.ended: Ended | None = None
        self._write = write
        self._answer: bytes | None = None
        self._news = asyncio.Event()
        """There is an answer, or the end."""
        self._room = asyncio.Event()
        """The work takes messages."""

    def send(self, message: bytes) -> bool:
        """Have an answer written; none follows before it is."""
        self._answer = message
        self._news.set()
        return False

    def take_more(self) -> None:
        """Go on reading."""
        self._room.set()

    def end(self, ended: Ended) -> None:
        """Have the call ended."""
        self.ended = ended
        self._news.set()

    async def read(self, requests: AsyncIterator[bytes], work: StreamWork) -> None:
        """Pass on what comes."""
        try:
            async for message in requests:
                self._room.clear()
                if not work.take(message):
                    await self._room.wait()
            work.finish()
        except Exception:
            self.end(Ended())
            raise

    async def carry(self, work: StreamWork) -> Ended:
        """Write answers until the end, and return it."""
        while True:
            while (answer := self._answer) is not None:
                await self._write(answer)
                self._answer = None
                work.send_more()
            if self.ended is not None:
                return self.ended
            self._news.clear()
            await self._news.wait()


async def _end(ended: Ended, context: Any) -> None:  # noqa: ANN401 - grpcio has no types
    if ended.error is None:
        context.set_trailing_metadata(ended.trailing)
    else:
        await _abort(ended.error.bare(), ended.trailing, context)


async def _abort(error: PenstockError, trailing: Metadata, context: Any) -> None:  # noqa: ANN401 - grpcio has no types
    status = grpc.StatusCode[STATUS_OF[error.code].name]
    try:
        await context.abort(status, details_of(error), (*trailing, *retry_metadata(error)))
    except grpc.aio.AbortError as aborted:
        # grpcio keeps it, and raises it again once this is over. Frames in it would keep the message until the garbage collector comes by.
        aborted.with_traceback(None)
