"""A service without models over the native transport, for tests of the transport alone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Final, cast

from raw_client import CALL, RawClient, prefixed

from penstock.grpc.call import CallInfo, CallReply, Ended, Service
from penstock.grpc.options import GrpcOptions
from penstock.grpc.service import InferenceService
from penstock.grpc.talk import Write, talked
from penstock.grpc.transport import NativeServer

LIMIT: Final = 100_000
SERVICE: Final = "inference.GRPCInferenceService"
PING: Final = prefixed(b"ping")


class Probe:
    """A service that echoes, and that does not answer where it is asked to wait."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.calls: list[CallInfo] = []
        self.written = 0

    def unary(self, message: bytes, call: CallInfo, reply: CallReply) -> Any:
        """Echo, or wait until somebody cancels."""
        self.calls.append(call)
        if message != b"wait":
            reply.answer(message, (("said", "ü\n"), ("raw-bin", "abc")))
            return None
        return SimpleNamespace(cancel=lambda: self.cancelled.append("unary"))

    async def stream(self, requests: AsyncIterator[bytes], call: CallInfo, write: Write) -> Ended:
        """Echo each message; `many` asks for many of 10,000 bytes, `wait` for none."""
        self.calls.append(call)
        try:
            async for message in requests:
                if message == b"wait":
                    await asyncio.Event().wait()
                for _ in range(100 if message == b"many" else 1):
                    await write(bytes(10_000) if message == b"many" else message)
                    self.written += 1
        except asyncio.CancelledError:
            self.cancelled.append("stream")
            raise
        return Ended(trailing=(("end", "reached"),))


@asynccontextmanager
async def serving(probe: Probe, **options: Any) -> AsyncIterator[str]:
    """Serve the probe; yields the address."""
    table = Service(SERVICE, {"Probe": probe.unary}, {"ProbeStream": talked(probe.stream)})
    service: Any = SimpleNamespace(table=table, ready=lambda: True, close=lambda: None)
    server = NativeServer(cast("InferenceService", service), GrpcOptions(**{"max_message_bytes": LIMIT, **options}))
    port = await server.start("127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def with_client(address: str, act: Callable[[RawClient], Any], **how: Any) -> Any:
    """Return what a client gets done, on a thread of its own."""

    def run() -> Any:
        client = RawClient(address, **how)
        try:
            return act(client)
        finally:
            client.close()

    return await asyncio.to_thread(run)


async def until(holds: Callable[[], Any]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.005)


def changed(**fields: str) -> list[tuple[str, str]]:
    """Return the fields of a call with some changed or added; `_` in a name stands for `-`, and a leading one for `:`."""
    names = {(":" + name[1:] if name[0] == "_" else name).replace("_", "-"): value for name, value in fields.items()}
    return [(name, names.pop(name, value)) for name, value in CALL] + list(names.items())
