"""A real grpc.aio server in this process, on a free port, over a small real catalog."""

import asyncio
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf.message import Message

from penstock.domain.errors import Bar, InvalidInput, Unauthenticated
from penstock.domain.halt import Halt
from penstock.domain.outcome import Outcome
from penstock.domain.schema import ModelSchema
from penstock.domain.session import Session
from penstock.domain.tensor import DATATYPES, Array, TensorSpec
from penstock.execution.pool import DevicePool
from penstock.execution.session import OrtSession, SessionSettings
from penstock.grpc.options import GrpcOptions
from penstock.grpc.server import GrpcServer
from penstock.grpc.service import InferenceService
from penstock.grpc.transport import NativeServer
from penstock.inference.admission import Admission
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Predictor
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager, Wanted
from penstock.lifecycle.options import ModelOptions
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.verified import VerifiedRegistry
from penstock.wire import inference as pb

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this one, whatever pytest's import mode

SERVICE: Final = "inference.GRPCInferenceService"
TRANSPORTS: Final = {"grpcio": GrpcServer, "native": NativeServer}
AUTHORIZED: Final = (("authorization", "Bearer secret"),)


class OneToken:
    """Admits one token."""

    def require(self, header: str | None) -> None:
        """Raise `Unauthenticated` for anything else."""
        if header != AUTHORIZED[0][1]:
            raise Unauthenticated("management needs the admin token", Bar.ADMIN_TOKEN)


class SomeLogSettings:
    """Log settings of which one may be changed."""

    def __init__(self) -> None:
        self.verbose = 0

    def as_dict(self) -> dict[str, str | bool | int]:
        """Return all settings."""
        return {"log_file": "", "log_info": True, "log_verbose_level": self.verbose}

    def update(self, settings: Mapping[str, str | bool | int]) -> None:
        """Change the verbosity, or raise `InvalidInput`."""
        level = settings.get("log_verbose_level", self.verbose)
        if type(level) is not int:
            raise InvalidInput("log_verbose_level must be a number")
        self.verbose = level


class Gate:
    """A session that answers with its input, as long as the gate is open; while it is shut, runs wait."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.opened.set()
        self.runs = 0

    @property
    def schema(self) -> ModelSchema:
        """Rows of four numbers, in and out."""
        shape = (-1, 4)
        spec = TensorSpec("X", DATATYPES["FP32"], shape)
        return ModelSchema((spec,), (TensorSpec("Y", DATATYPES["FP32"], shape),), batched=True)

    @property
    def placement(self) -> Mapping[str, float]:
        """All of it runs nowhere in particular."""
        return {"cpu": 1.0}

    def run(
        self,
        inputs: Mapping[str, Array],
        outputs: Sequence[str],
        limit_s: float | None = None,
        halt: Halt | None = None,
    ) -> list[Array]:
        """Return the input once the gate is open."""
        self.runs += 1
        assert self.opened.wait(20), "the test never opened the gate"
        return [inputs["X"]]

    def close(self) -> None:
        """Nothing to free."""


@dataclass
class Served:
    """A running server, a client of it, and what the test may look into."""

    catalog: Catalog
    ledger: Ledger
    admission: Admission
    manager: Manager
    log_settings: SomeLogSettings
    server: GrpcServer | NativeServer
    address: str
    channel: grpc.aio.Channel

    def rpc(self, name: str) -> "grpc.aio.UnaryUnaryMultiCallable":
        """Return the raw call of a unary RPC."""
        method = pb.SERVICE.methods_by_name[name]
        answer = getattr(pb, method.output_type.name)
        return self.channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=lambda m: m if isinstance(m, bytes) else m.SerializeToString(),
            response_deserializer=answer.FromString,
        )

    async def ask(self, name: str, message: Message | bytes, metadata: Sequence[tuple[str, str]] = ()) -> Any:
        """Return the answer of a unary RPC, or raise its `AioRpcError`."""
        return await self.rpc(name)(message, metadata=metadata, timeout=20)

    async def refusal(self, name: str, message: Message | bytes, metadata: Sequence[tuple[str, str]] = ()) -> grpc.aio.AioRpcError:
        """Return the error of a unary RPC that must fail."""
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await self.ask(name, message, metadata)
        return raised.value

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until the condition holds, which other threads and the server bring about."""
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.005)

    async def in_flight(self, count: int) -> None:
        """Wait until so many predictions are under way."""
        await self.until(lambda: self.ledger.in_flight == count)

    def outcomes(self) -> dict[tuple[str, Outcome], int]:
        """Return the ledger's ends by model and outcome; every one of them came over gRPC."""
        assert {protocol for protocol, _, _ in self.ledger.outcomes} <= {"grpc"}
        return {(model, outcome): count for (_, model, outcome), count in self.ledger.outcomes.items()}


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Return a certificate for localhost and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate]
    subprocess.run([openssl, "req", "-x509", *made, *subject], check=True, capture_output=True)
    key.chmod(0o600)
    return certificate, key


@pytest.fixture
def registry(tmp_path: Path, models: ModuleType) -> Path:
    """Return a registry of two models: addsub in versions 1 and 3, and scores with labels."""
    models.write_versioned_addsub(tmp_path)
    models.write_configured_model(tmp_path, "scores", models.identity("scores", "float", "batch,4"), 8)
    config = tmp_path / "scores" / "config.pbtxt"
    config.write_text(config.read_text().replace('name: "Y"', 'name: "Y" label_filename: "labels.txt"'))
    (tmp_path / "scores" / "labels.txt").write_text("a\nb\nc\nd\n")
    return tmp_path


@pytest.fixture(params=TRANSPORTS)
def server_type(request: pytest.FixtureRequest) -> type[GrpcServer] | type[NativeServer]:
    """Return the server of each transport in turn."""
    return TRANSPORTS[request.param]


@pytest.fixture
def serve(registry: Path, server_type: type[GrpcServer] | type[NativeServer]) -> Serve:
    """Return a function that serves the registry for as long as its context lasts."""

    @asynccontextmanager
    async def started(
        options: GrpcOptions | None = None,
        defaults: ModelOptions | None = None,
        *,
        gate: Gate | None = None,
        only: tuple[str, ...] = (),
    ) -> AsyncIterator[Served]:
        def open_session(path: Path, settings: SessionSettings, rows: int | None) -> Session:
            return OrtSession(path, settings, rows) if gate is None else gate

        catalog, admission = Catalog(), Admission(30.0, 600.0)
        ledger = Ledger(catalog)
        source = VerifiedRegistry(DirectorySource(registry), Cache(registry / ".cache"))
        loader = Loader(source, defaults or ModelOptions(threads=1, warmup="off"), {}, open_session)
        wanted = tuple(map(Wanted, only))
        manager = Manager(source, loader, catalog, poll_s=0, only=wanted)
        await manager.start()
        log_settings = SomeLogSettings()
        predictor = Predictor(ledger, admission, catalog)
        service = InferenceService(predictor, manager, lambda: manager.ready and not admission.draining, OneToken(), log_settings)
        server = server_type(service, options or GrpcOptions())
        address = f"127.0.0.1:{await server.start('127.0.0.1', 0)}"
        limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        try:
            async with grpc.aio.insecure_channel(address, options=limits) as channel:
                yield Served(catalog, ledger, admission, manager, log_settings, server, address, channel)
        finally:
            if gate is not None:
                gate.opened.set()
            await server.stop(0)
            await manager.aclose()

    return started


@pytest_asyncio.fixture
async def served(serve: Serve) -> AsyncIterator[Served]:
    """Return a server with default options."""
    async with serve() as served:
        yield served


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Return the gate behind which `gated` runs: on threads, since a run that waits on the event loop would stop the test."""

    async def unmeasured(_: DevicePool) -> None:
        """Leave the hop at 0."""

    monkeypatch.setattr(DevicePool, "measure_hop", unmeasured)
    return Gate()


@pytest_asyncio.fixture
async def gated(serve: Serve, gate: Gate) -> AsyncIterator[Served]:
    """Return a server of the model scores, whose runs pass the gate: one lane, so that what follows a run waits."""
    async with serve(defaults=ModelOptions(lanes=1, max_batch_rows=1, slo_ms=60_000), gate=gate, only=("scores",)) as served:
        yield served
