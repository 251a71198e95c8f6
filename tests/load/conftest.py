"""Servers in processes of their own, and a mixed crowd of clients that checks every answer."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import grpc
import grpc.aio
import httpx2
import numpy as np
import orjson
import pytest

from penstock.wire import inference as pb

INFER: Final = "/inference.GRPCInferenceService/ModelInfer"
LOAD: Final = "/inference.GRPCInferenceService/RepositoryModelLoad"
LENGTH_HEADER: Final = "inference-header-content-length"
SETTLE_S: Final = 20

Array = np.ndarray[Any, np.dtype[Any]]
Serve = Callable[..., AbstractContextManager[Any]]


@pytest.fixture
def registry(tmp_path: Path, models: ModuleType) -> Path:
    """Return a registry of models whose answers show what was asked: tagged, id_fp32 and addsub."""
    root = tmp_path / "registry"
    models.write_tagged(root, 1)
    models.write_configured_model(root, "id_fp32", models.identity("id_fp32", "float", "batch,n"), 8)
    models.write_configured_model(root, "addsub", models.ADDSUB, 8)
    return root


@pytest.fixture
def serve(tmp_path: Path, registry: Path, server_process: ModuleType) -> Serve:
    """Return a function that serves the registry, with `key=value` settings, as long as its context lasts.

    The target is out of the way: these tests ask who gets which answer, and a slow machine must not refuse any.
    """

    @contextmanager
    def started(*settings: str) -> Iterator[Any]:
        directory = tmp_path / "server"
        directory.mkdir()
        with server_process.running(registry, directory, "defaults.slo_ms=60000", *settings) as server:
            yield server

    return started


@dataclass
class Refused(Exception):
    """The server answered, with something else than a result."""

    status: str
    text: str

    def __str__(self) -> str:
        """Show what the server said."""
        return f"{self.status}: {self.text[:500]}"


@dataclass
class Question:
    """A request whose rows carry tags that no other row of the test carries."""

    model: str
    inputs: dict[str, Array]

    def check(self, outputs: Mapping[str, Array], version: str) -> None:
        """Check that the answer belongs to this question."""
        for name, wanted in self._wanted(version).items():
            assert outputs[name].shape == wanted.shape, f"{self.model} {name}: {outputs[name].shape} for {wanted.shape}"
            assert (outputs[name] == wanted).all(), f"{self.model} {name}: {outputs[name]} for {wanted}"

    def _wanted(self, version: str) -> dict[str, Array]:
        if self.model == "addsub":
            one, other = self.inputs["INPUT0"], self.inputs["INPUT1"]
            return {"OUTPUT0": one + other, "OUTPUT1": one - other}
        asked = self.inputs["X"]
        if self.model == "tagged":
            return {"Y": asked, "version": np.full(len(asked), int(version), np.int64)}
        return {"Y": asked}


class Lost(Exception):
    """The connection ended without an answer."""


@dataclass
class Tags:
    """Hands out questions; every row of every question is unlike all others."""

    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def question(self, model: str, rows: int) -> Question:
        """Return a new question to a model."""
        # Whole numbers below 2**24 are exact as FP32.
        tags = np.array([next(self.counter) for _ in range(rows)]).reshape(rows, 1)
        if model == "addsub":
            values = (tags * 16 + np.arange(16)).astype(np.int32)
            return Question(model, {"INPUT0": values, "INPUT1": values // 3})
        return Question(model, {"X": (tags * 4 + np.arange(4)).astype(np.float32)})


@dataclass
class Crowd:
    """HTTP and gRPC clients of one server; each answer is checked as it comes."""

    server: Any
    http: httpx2.AsyncClient
    channel: grpc.aio.Channel
    tags: Tags = field(default_factory=Tags)
    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Predictions by (protocol, model)."""
    versions: dict[str, set[str]] = field(default_factory=lambda: {"http": set(), "grpc": set()})
    """Versions of `tagged` that have answered, by protocol."""

    @property
    def ways(self) -> tuple[Callable[[Question], Awaitable[None]], ...]:
        """Return every way to ask: JSON, binary tensors, gRPC."""
        return (self.ask_json, self.ask_grpc, self.ask_binary, self.ask_grpc_typed)

    def seen_by_all(self, version: str) -> bool:
        """Return whether a version of `tagged` has answered over both protocols."""
        return all(version in seen for seen in self.versions.values())

    async def ask_json(self, question: Question) -> None:
        """Ask over HTTP in JSON, and check the answer."""
        inputs = [_described(name, array) | {"data": array.ravel().tolist()} for name, array in question.inputs.items()]
        await self._ask_http(question, orjson.dumps({"inputs": inputs}), {})

    async def ask_binary(self, question: Question) -> None:
        """Ask over HTTP with binary tensors, and check the answer."""
        inputs = [_described(name, array) | {"parameters": {"binary_data_size": array.nbytes}} for name, array in question.inputs.items()]
        head = orjson.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}})
        body = head + b"".join(array.tobytes() for array in question.inputs.values())
        await self._ask_http(question, body, {LENGTH_HEADER: str(len(head))})

    async def ask_grpc(self, question: Question) -> None:
        """Ask over gRPC with raw contents, and check the answer."""
        request = pb.ModelInferRequest(model_name=question.model)
        for name, array in question.inputs.items():
            request.inputs.add(**_described(name, array))
            request.raw_input_contents.append(array.tobytes())
        await self._ask_grpc(question, request)

    async def ask_grpc_typed(self, question: Question) -> None:
        """Ask over gRPC with typed contents, and check the answer."""
        request = pb.ModelInferRequest(model_name=question.model)
        for name, array in question.inputs.items():
            contents = request.inputs.add(**_described(name, array)).contents
            typed = contents.int_contents if array.dtype == np.int32 else contents.fp32_contents
            typed.extend(array.ravel().tolist())
        await self._ask_grpc(question, request)

    async def ask_slow(self, protocol: str) -> float:
        """Return the answer of the model `slow`, which is the number that it was asked with."""
        if protocol == "http":
            body = {"inputs": [{"name": "X", "shape": [1, 1], "datatype": "FP32", "data": [1.0]}]}
            answer = await self.http.post("/v2/models/slow/infer", json=body)
            assert answer.status_code == 200, answer.text
            return float(answer.json()["outputs"][0]["data"][0])
        request = pb.ModelInferRequest(model_name="slow")
        request.inputs.add(name="X", datatype="FP32", shape=[1, 1]).contents.fp32_contents.append(1.0)
        answer = await self._infer(request, timeout=60)
        return float(np.frombuffer(answer.raw_output_contents[0], np.float32)[0])

    async def load(self, model: str) -> None:
        """Have the server look at a model again, over the repository extension of gRPC."""
        call = self.channel.unary_unary(
            LOAD,
            request_serializer=pb.RepositoryModelLoadRequest.SerializeToString,
            response_deserializer=pb.RepositoryModelLoadResponse.FromString,
        )
        metadata = (("authorization", f"Bearer {self.server.token}"),)
        await call(pb.RepositoryModelLoadRequest(model_name=model), metadata=metadata, timeout=60)

    async def load_over_http(self, model: str) -> None:
        """Have the server look at a model again, over the admin listener."""
        headers = {"authorization": f"Bearer {self.server.token}"}
        url = f"http://{self.server.admin}/v2/repository/models/{model}/load"
        answer = await self.http.post(url, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text

    async def is_ready(self) -> bool:
        """Return whether a balancer would send anything."""
        answer = await self.http.get("/v2/health/ready")
        return bool(answer.status_code == 200)

    @property
    def _infer(self) -> "grpc.aio.UnaryUnaryMultiCallable":
        return self.channel.unary_unary(
            INFER,
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )

    async def _ask_http(self, question: Question, body: bytes, headers: dict[str, str]) -> None:
        self.sent["http", question.model] += 1
        try:
            answer = await self.http.post(f"/v2/models/{question.model}/infer", content=body, headers=headers)
        except httpx2.TransportError as error:
            raise Lost(repr(error)) from error
        if answer.status_code != 200:
            raise Refused(str(answer.status_code), answer.text)
        split = int(answer.headers.get(LENGTH_HEADER, len(answer.content)))
        told = orjson.loads(answer.content[:split])
        version = answer.headers["penstock-model-version"]
        assert told["model_version"] == version, "the body and the header name one version"
        outputs, rest = {}, answer.content[split:]
        for output in told["outputs"]:
            kind = _KINDS[output["datatype"]]
            if "data" in output:
                values = np.array(output["data"], kind)
            else:
                size = output["parameters"]["binary_data_size"]
                values, rest = np.frombuffer(rest[:size], kind), rest[size:]
            outputs[output["name"]] = values.reshape(output["shape"])
        assert not rest
        self._checked("http", question, outputs, version)

    async def _ask_grpc(self, question: Question, request: pb.ModelInferRequest) -> None:
        self.sent["grpc", question.model] += 1
        call = self._infer(request, timeout=60)
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            raise Refused(error.code().name, error.details() or "") from error
        version = dict(await call.trailing_metadata())["penstock-model-version"]
        assert answer.model_version == version, "the message and the metadata name one version"
        outputs = {
            output.name: np.frombuffer(raw, _KINDS[output.datatype]).reshape(list(output.shape))
            for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
        }
        self._checked("grpc", question, outputs, version)

    def _checked(self, protocol: str, question: Question, outputs: Mapping[str, Array], version: str) -> None:
        question.check(outputs, version)
        if question.model == "tagged":
            self.versions[protocol].add(version)


_KINDS: Final = {"FP32": np.float32, "INT32": np.int32, "INT64": np.int64}


def _described(name: str, array: Array) -> dict[str, Any]:
    datatype = {"float32": "FP32", "int32": "INT32"}[array.dtype.name]
    return {"name": name, "datatype": datatype, "shape": list(array.shape)}


@asynccontextmanager
async def crowd_of(server: Any) -> AsyncIterator[Crowd]:
    """Open a crowd of clients of a server."""
    async with AsyncExitStack() as stack:
        limits = httpx2.Limits(max_connections=64, max_keepalive_connections=64)
        http = await stack.enter_async_context(httpx2.AsyncClient(base_url=f"http://{server.http}", limits=limits, timeout=60))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.grpc))
        yield Crowd(server, http, channel)


@pytest.fixture
def crowd() -> Callable[[Any], Any]:
    """Return the function that opens a crowd of clients."""
    return crowd_of


async def until(holds: Callable[[], bool | Awaitable[bool]], what: str, limit_s: float = SETTLE_S) -> None:
    """Wait until the condition holds, which another process brings about."""
    try:
        async with asyncio.timeout(limit_s):
            while not await _truth(holds()):  # noqa: ASYNC110 - the server is another process
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"never came true: {what}")


async def _truth(value: bool | Awaitable[bool]) -> bool:
    return value if isinstance(value, bool) else await value


@pytest.fixture
def refused() -> type[Refused]:
    """Return the exception that tells of a refusal."""
    return Refused


@pytest.fixture
def lost() -> type[Lost]:
    """Return the exception that tells of a connection that ended without an answer."""
    return Lost


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    """Return the function that waits for a condition."""
    return until


@pytest.fixture
def balanced() -> Callable[[Crowd], Awaitable[None]]:
    """Return a function that checks the ledger: what was received is what was sent, and each has exactly one end."""

    async def check(crowd: Crowd) -> None:
        def settled() -> bool:
            received, outcomes = crowd.server.ledger()
            ends: Counter[tuple[str, str]] = Counter()
            for (protocol, model, _), count in outcomes.items():
                ends[protocol, model] += count
            return +received == +ends == +crowd.sent

        try:
            await until(lambda: asyncio.to_thread(settled), "received equals sent and the sum of outcomes")
        except BaseException:
            print(f"sent {crowd.sent}\nledger {crowd.server.ledger()}")
            raise

    return check
