"""The client of Node's programs, @grpc/grpc-js on Node's own HTTP/2 (nghttp2), against the native transport."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
from probe import SERVICE, until

from penstock.domain.errors import InvalidInput
from penstock.grpc.call import CallInfo, CallReply, Ended, Service
from penstock.grpc.options import GrpcOptions
from penstock.grpc.service import InferenceService
from penstock.grpc.talk import Write, talked
from penstock.grpc.transport import NativeServer
from penstock.security.options import TlsOptions
from penstock.security.tls import Tls

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]
ROOT: Final = Path(__file__).parents[3]
SCRIPT: Final = ROOT / "tests" / "clients" / "node" / "check_grpc.js"
MODULES: Final = ROOT / ".venv-node"
WRONG: Final = InvalidInput("100 % wrong: ü")
CHECKS: Final = 18


class Answering:
    """What the script asks for."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        unary = {"Echo": self.echo, "Fail": lambda _data, _call, reply: reply.fail(WRONG, (("why", "so"),)), "Wait": self.wait}
        self.table: Final = Service(SERVICE, unary, {"Stream": talked(self.stream)})
        self.ready = lambda: True
        self.close = lambda: None

    def echo(self, message: bytes, call: CallInfo, reply: CallReply) -> None:
        """Answer with the question, and what else the call has brought."""
        reply.answer(message, (("heard", call.metadata.get("x-mine", "")), ("raw-bin", "abc"), ("peer", call.peer)))

    def wait(self, message: bytes, _call: CallInfo, _reply: CallReply) -> Any:
        """Never answer."""
        return SimpleNamespace(cancel=lambda: self.cancelled.append(message.decode()))

    async def stream(self, requests: AsyncIterator[bytes], _call: CallInfo, write: Write) -> Ended:
        """Echo each message but those that ask for something else."""
        try:
            async for message in requests:
                if message == b"fail":
                    return Ended(error=WRONG)
                for _ in range({b"many": 100, b"quiet": 0}.get(message, 1)):
                    await write(message)
                if message == b"wait":
                    await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append("stream")
            raise
        return Ended(trailing=(("end", "reached"),))


@asynccontextmanager
async def serving(service: Answering, tls: Tls | None, **options: Any) -> AsyncIterator[str]:
    """Serve it; yields the address."""
    server = NativeServer(cast("InferenceService", service), GrpcOptions(max_message_bytes=16 << 20, **options), tls=tls)
    port = await server.start("127.0.0.1", 0)
    try:
        yield f"localhost:{port}" if tls else f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@pytest.fixture
def node() -> str:
    """Return the interpreter, or skip where it or the client is missing."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed (Debian: nodejs and npm)")
    if not (MODULES / "node_modules" / "@grpc" / "grpc-js").exists():
        pytest.skip("@grpc/grpc-js is not installed: `make test` puts it into .venv-node where npm is there")
    return node


async def script(node: str, told: str) -> bytes:
    """Return what the script says, which ends by itself or is ended."""
    running = await asyncio.create_subprocess_exec(node, SCRIPT, told, stdout=-1, stderr=-1)
    try:
        async with asyncio.timeout(60):
            said, complaints = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    assert running.returncode == 0, complaints
    return said


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
async def test_every_check_of_the_script_passes(secure: bool, node: str, request: pytest.FixtureRequest) -> None:
    """Calls of all four kinds, metadata, errors, deadlines, cancellation, large and packed messages, and connections that age."""
    service, tls, root = Answering(), None, ""
    if secure:
        certificate, key = request.getfixturevalue("certificate")
        tls, root = Tls(TlsOptions(certificate=str(certificate), key=str(key))), str(certificate)
    async with serving(service, tls) as address, serving(service, tls, max_connection_age_s=0.3) as aging:
        told = {"address": address, "aging": aging, "root": root, "modules": str(MODULES)}
        said = await script(node, json.dumps(told))
        await until(lambda: sorted(service.cancelled) == ["cancel", "deadline", "stream"])

    verdicts = json.loads(said)
    assert {name: verdict for name, verdict in verdicts.items() if verdict} == {}
    assert len(verdicts) == CHECKS
