"""The gRPC listener on grpcio: this file alone knows its server."""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio

from penstock.domain.clock import NS_PER_S, monotonic
from penstock.grpc.call import CallInfo, Ended, FutureReply, Handler, Service, StreamHandler, unexpected
from penstock.grpc.errors import STATUS_OF, details_of, retry_metadata
from penstock.grpc.health import NAME as HEALTH
from penstock.grpc.health import Health
from penstock.grpc.options import GrpcOptions
from penstock.grpc.reflection import reflection_services
from penstock.grpc.service import InferenceService

_log = logging.getLogger(__name__)
_PING_INTERVAL_MS: Final = 300_000


class GrpcServer:
    """Carries the inference, health and reflection services over one port. Lives on the event loop that starts it."""

    def __init__(self, service: InferenceService, options: GrpcOptions) -> None:
        self._service = service
        self._health = Health((service.table.name,), service.ready)
        self._services = [service.table, self._health.table]
        if options.reflection:
            self._services += reflection_services([service.table.name, HEALTH])
        self._options = options
        self._server: grpc.aio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port: a free one if 0 is asked for. Raises `OSError` if it cannot be had."""
        server = grpc.aio.server(handlers=[_generic(s) for s in self._services], options=_arguments(self._options))
        bound = _bind(server, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
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


def _bind(server: grpc.aio.Server, address: str) -> int:
    try:
        return int(server.add_insecure_port(address))
    except RuntimeError as error:
        raise OSError(
            errno.EADDRINUSE,
            f"cannot listen for gRPC on {address}: the port is taken, or the address is not of this machine",
        ) from error


def _generic(service: Service) -> grpc.GenericRpcHandler:
    """Return the service as grpcio takes it; without serializers, so that messages stay bytes."""
    methods = {name: grpc.unary_unary_rpc_method_handler(_unary(handler)) for name, handler in service.unary.items()}
    streams = {name: grpc.stream_stream_rpc_method_handler(_stream(handler)) for name, handler in service.streams.items()}
    return grpc.method_handlers_generic_handler(service.name, {**methods, **streams})


def _unary(handler: Handler) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def call(request: bytes, context: Any) -> bytes:  # noqa: ANN401 - grpcio has no types
        reply, work = FutureReply(), None
        try:
            work = handler(request, _info(context), reply)
            ended = await reply.ended
        except asyncio.CancelledError:  # the caller has left, or its deadline has passed
            if work is not None:
                work.cancel()
            raise
        except Exception:
            _log.exception("a call failed unexpectedly")
            ended = Ended(error=unexpected())
        await _finish(ended, context)
        return ended.message

    return call


def _stream(handler: StreamHandler) -> Callable[[AsyncIterator[bytes], Any], Awaitable[None]]:
    async def call(requests: AsyncIterator[bytes], context: Any) -> None:  # noqa: ANN401 - grpcio has no types
        try:
            ended = await handler(requests, _info(context), context.write)
        except grpc.aio.BaseError:  # the connection is gone; grpcio clears up
            raise
        except Exception:
            _log.exception("a stream failed unexpectedly")
            ended = Ended(error=unexpected())
        await _finish(ended, context)

    return call


async def _finish(ended: Ended, context: Any) -> None:  # noqa: ANN401 - grpcio has no types
    if ended.error is not None:
        status = grpc.StatusCode[STATUS_OF[ended.error.code].name]
        await context.abort(status, details_of(ended.error), (*ended.trailing, *retry_metadata(ended.error)))
    if ended.trailing:
        context.set_trailing_metadata(ended.trailing)


def _info(context: Any) -> CallInfo:  # noqa: ANN401 - grpcio has no types
    remaining_s = context.time_remaining()
    metadata = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
    deadline_ns = None if remaining_s is None else monotonic() + int(remaining_s * NS_PER_S)
    return CallInfo(metadata, deadline_ns, context.peer())
