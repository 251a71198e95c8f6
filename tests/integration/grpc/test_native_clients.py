"""Clients that nobody here has written, against the native transport: grpcio's over TLS, grpclib, curl, nghttp and h2load."""

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import grpc
import grpc.aio
import numpy as np
import pytest
from raw_client import prefixed

from penstock.grpc.call import CallInfo, CallReply, Ended, Service
from penstock.grpc.options import GrpcOptions
from penstock.grpc.service import InferenceService
from penstock.grpc.talk import Write, talked
from penstock.grpc.transport import NativeServer
from penstock.security.options import TlsOptions
from penstock.security.tls import Tls
from penstock.wire import inference as pb

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
SERVICE: Final = "inference.GRPCInferenceService"
PROBE: Final = f"/{SERVICE}/Probe"
STREAM: Final = f"/{SERVICE}/ProbeStream"
CALL_FIELDS: Final = ["-H", "te: trailers", "-H", "content-type: application/grpc"]


def echo(message: bytes, _call: CallInfo, reply: CallReply) -> None:
    """Answer with the question."""
    reply.answer(message, (("said", "so"),))


async def echo_all(requests: AsyncIterator[bytes], _call: CallInfo, write: Write) -> Ended:
    """Answer every question with itself."""
    async for message in requests:
        await write(message)
    return Ended()


@asynccontextmanager
async def serving(tls: Tls | None = None) -> AsyncIterator[int]:
    """Serve the echo; yields the port."""
    table = Service(SERVICE, {"Probe": echo}, {"ProbeStream": talked(echo_all)})
    service: Any = SimpleNamespace(table=table, ready=lambda: True, close=lambda: None)
    server = NativeServer(cast("InferenceService", service), GrpcOptions(), tls=tls)
    port = await server.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        await server.stop(0)


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> Tls:
    """Return the server's side of TLS."""
    return Tls(TlsOptions(certificate=str(certificate[0]), key=str(certificate[1])))


async def test_grpcio_speaks_tls(tls: Tls, certificate: tuple[Path, Path]) -> None:
    """Unary calls and streams, small and large messages."""
    credentials = grpc.ssl_channel_credentials(certificate[0].read_bytes())
    large = bytes(range(256)) * 4096
    async with serving(tls) as port, grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        assert await channel.unary_unary(PROBE)(b"ping", timeout=20) == b"ping"
        assert await channel.unary_unary(PROBE)(large, timeout=20) == large
        assert [reply async for reply in channel.stream_stream(STREAM)([b"a", b"", b"b"], timeout=20)] == [b"a", b"", b"b"]


async def test_tls_without_alpn_is_refused(tls: Tls, certificate: tuple[Path, Path]) -> None:
    """RFC 9113, section 3.2: who does not ask for h2 hears GOAWAY, and nothing else."""

    def ask(port: int) -> bytes:
        context = ssl.create_default_context(cafile=str(certificate[0]))
        with socket.create_connection(("127.0.0.1", port), 20) as plain, context.wrap_socket(plain, server_hostname="localhost") as secure:
            said = b""
            while data := secure.recv(1000):
                said += data
            return said

    async with serving(tls) as port:
        said = await asyncio.to_thread(ask, port)

    assert b"\x0c" in said
    assert b"ALPN" in said


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_old_tls_is_refused(tls: Tls, certificate: tuple[Path, Path]) -> None:
    """RFC 9113, section 9.2: TLS 1.2 is the least."""

    def ask(port: int, version: ssl.TLSVersion) -> str | None:
        context = ssl.create_default_context(cafile=str(certificate[0]))
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.set_alpn_protocols(["h2"])
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", port), 20) as plain, context.wrap_socket(plain, server_hostname="localhost") as secure:
            return secure.version()

    async with serving(tls) as port:
        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(ask, port, ssl.TLSVersion.TLSv1_1)
        assert await asyncio.to_thread(ask, port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"


async def test_silent_tls_is_cut(tls: Tls) -> None:
    """A handshake that does not come is not waited for."""
    table = Service(SERVICE, {"Probe": echo})
    service: Any = SimpleNamespace(table=table, ready=lambda: True, close=lambda: None)
    server = NativeServer(cast("InferenceService", service), GrpcOptions(handshake_timeout_s=0.2), tls=tls)
    port = await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(20):
        assert await reader.read() == b""
    writer.close()
    await server.stop(0)


async def test_grpclib_is_served() -> None:
    """A client on hyper-h2: unary, streaming each way, and an error."""
    client = pytest.importorskip("grpclib.client")
    exceptions = pytest.importorskip("grpclib.exceptions")
    codec = SimpleNamespace(__content_subtype__="proto", encode=lambda message, _type: message, decode=lambda data, _type: data)
    async with serving() as port:
        channel = client.Channel("127.0.0.1", port, codec=codec)
        try:
            assert await client.UnaryUnaryMethod(channel, PROBE, bytes, bytes)(b"ping") == b"ping"
            assert await client.StreamStreamMethod(channel, STREAM, bytes, bytes)([b"a", b"b" * 100_000]) == [b"a", b"b" * 100_000]
            assert await client.StreamUnaryMethod(channel, STREAM, bytes, bytes)([b"a"]) == b"a"
            assert await client.UnaryStreamMethod(channel, STREAM, bytes, bytes)(b"a") == [b"a"]
            with pytest.raises(exceptions.GRPCError) as raised:
                await client.UnaryUnaryMethod(channel, "/a.B/C", bytes, bytes)(b"")
        finally:
            channel.close()

    assert raised.value.status.name == "UNIMPLEMENTED"


async def tool(name: str, *arguments: object) -> bytes:
    """Return what a program says, or skip where it is missing."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    running = await asyncio.create_subprocess_exec(program, *map(str, arguments), stdout=-1, stderr=-1)
    said, complaints = await running.communicate()
    assert running.returncode == 0, complaints
    return said


@pytest.fixture
def question(tmp_path: Path) -> Path:
    """Return a file with the body of a call."""
    path = tmp_path / "question"
    path.write_bytes(prefixed(b"ping"))
    return path


async def test_curl_is_served(question: Path) -> None:
    """Body, and trailers behind it."""
    async with serving() as port:
        url = f"http://127.0.0.1:{port}{PROBE}"
        said = await tool("curl", "-si", "--http2-prior-knowledge", "--data-binary", f"@{question}", *CALL_FIELDS, url)

    assert said.startswith(b"HTTP/2 200")
    assert prefixed(b"ping") in said
    assert b"grpc-status: 0" in said
    assert b"said: so" in said


async def test_nghttp_is_served(question: Path) -> None:
    """The reference implementation finds nothing to complain of."""
    async with serving() as port:
        said = await tool("nghttp", "-v", "-n", "-d", question, *CALL_FIELDS, f"http://127.0.0.1:{port}{PROBE}")

    assert b"grpc-status: 0" in said
    assert b"INVALID" not in said


async def test_h2load_is_served(question: Path) -> None:
    """Thousands of calls, a hundred at once, on several connections."""
    async with serving() as port:
        count = ("-n", 3000, "-c", 3, "-m", 100)
        said = await tool("h2load", *count, "-d", question, *CALL_FIELDS, f"http://127.0.0.1:{port}{PROBE}")

    assert b"3000 succeeded, 0 failed, 0 errored" in said
    assert b"3000 2xx" in said


async def test_16_mib_pass_both_ways(serve: Any, registry: Path, models: Any) -> None:
    """By a call and by a stream, to the model and back."""
    models.write_configured_model(registry, "vector", models.identity("vector", "float", "n"), 0)
    array = np.arange(4 << 20, dtype=np.float32)
    tensor = pb.ModelInferRequest.InferInputTensor(name="X", datatype="FP32", shape=[array.size])
    message = pb.ModelInferRequest(model_name="vector", inputs=[tensor], raw_input_contents=[array.tobytes()])
    async with serve(only=("vector",)) as served:
        answer = await served.ask("ModelInfer", message)
        call = served.channel.stream_stream(
            f"/{SERVICE}/ModelStreamInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelStreamInferResponse.FromString,
        )
        replies = [reply.infer_response async for reply in call([message, message], timeout=40)]

    for reply in (answer, *replies):
        assert reply.raw_output_contents[0] == array.tobytes()
    assert len(replies) == 2
