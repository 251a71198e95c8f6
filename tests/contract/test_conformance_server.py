"""C1-C14, C77-C79, C89-C92: health, metadata and reflection."""

from pathlib import Path
from types import ModuleType
from typing import Any, Final

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2 as reflection
from serving import Serving
from transports import TIMEOUT_S, GrpcTransport, error_text, refusal_of

from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager
from penstock.lifecycle.options import ModelOptions
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.verified import VerifiedRegistry
from penstock.wire import inference as pb

SERVICE: Final = "inference.GRPCInferenceService"


@pytest.mark.parametrize("path", [pytest.param("live", id="C1-http"), pytest.param("ready", id="C2-http")])
def test_server_is_live_and_ready(server: Serving, path: str) -> None:
    """Both health routes."""
    assert server.client.get(f"/v2/health/{path}").status_code == 200


@pytest.mark.parametrize("started", [pytest.param(False, id="C3")])
def test_server_is_not_ready_while_models_load(tmp_path: Path, models: ModuleType, started: bool) -> None:
    """Readiness comes with the end of the start; seen from inside, as the race could be lost from outside."""
    models.write_versioned_addsub(tmp_path)
    registry = VerifiedRegistry(DirectorySource(tmp_path), Cache(tmp_path / ".cache"))

    manager = Manager(registry, Loader(registry, ModelOptions(), {}), Catalog(), poll_s=0)

    assert manager.ready is started


@pytest.mark.parametrize("path", [pytest.param("/v2/health/live", id="C4-http")])
def test_health_says_so_in_json(server: Serving, path: str) -> None:
    """KServe's client reads the body."""
    response = server.client.get(path)

    assert response.json() == {"live": True}
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", [pytest.param("/v2", id="C5-http"), pytest.param("/v2/", id="C6-http")])
def test_server_tells_its_name_and_extensions(server: Serving, path: str) -> None:
    """With and without the slash, and without a redirect."""
    response = server.client.get(path, follow_redirects=False)

    document = response.json()
    assert response.status_code == 200
    assert isinstance(document["name"], str)
    assert isinstance(document["version"], str)
    assert {"binary_tensor_data", "statistics"} <= set(document["extensions"])


def test_server_metadata_is_the_same_over_grpc(server: Serving) -> None:
    """ServerMetadata says what GET /v2 says."""
    reply = server.grpc.call("ServerMetadata", pb.ServerMetadataRequest())

    document = server.client.get("/v2").json()
    assert [reply.name, reply.version, list(reply.extensions)] == [document[key] for key in ("name", "version", "extensions")]
    assert dict(reply.parameters) == document["parameters"]
    assert document["parameters"]["max_body_bytes"] == 64 * 1024 * 1024
    assert document["parameters"]["head_timeout_ms"] == 10_000


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("POST", "/v2", 405, id="C7-http"),
        pytest.param("GET", "/v2/nope", 404, id="C8-http"),
        pytest.param("GET", "/v2/models/nope", 404, id="C11-http"),
        pytest.param("GET", "/v2/models/addsub/versions/2", 404, id="C12-http"),
        pytest.param("GET", "/v2/models/nope/ready", 404, id="C14-http"),
        pytest.param("GET", "/v2/models/addsub/versions/abc", 404, id="C79-http"),
    ],
)
def test_what_does_not_exist_is_refused_in_json(server: Serving, method: str, path: str, status: int) -> None:
    """A name that is wrong is named."""
    response = server.client.request(method, path)

    assert response.status_code == status
    text = error_text(response)
    assert "nope" not in path.partition("models/")[2] or "nope" in text


def tensors(entries: Any) -> list[tuple[str, str, list[int]]]:
    """Return the metadata of tensors in a comparable form."""
    return [(entry.name, entry.datatype, list(entry.shape)) for entry in entries]


@pytest.mark.parametrize(
    ("model", "versions", "shape"),
    [
        pytest.param("addsub", ["1", "3"], [-1, 16], id="C9-http"),
        pytest.param("addsub_nb", ["1"], [16], id="C10-http"),
    ],
)
def test_model_metadata_tell_shapes(server: Serving, model: str, versions: list[str], shape: list[int]) -> None:
    """The batch dimension stands in front exactly where the model has one."""
    document = server.client.get(f"/v2/models/{model}").json()

    assert document["name"] == model
    assert sorted(document["versions"]) == versions
    assert document["platform"] == "onnxruntime_onnx"
    assert document["inputs"] == [{"name": name, "datatype": "INT32", "shape": shape} for name in ("INPUT0", "INPUT1")]
    assert document["outputs"] == [{"name": name, "datatype": "INT32", "shape": shape} for name in ("OUTPUT0", "OUTPUT1")]


@pytest.mark.parametrize(
    ("model", "versions", "shape"),
    [
        pytest.param("addsub", ["1", "3"], [-1, 16], id="C9-grpc"),
        pytest.param("addsub_nb", ["1"], [16], id="C10-grpc"),
    ],
)
def test_model_metadata_are_the_same_over_grpc(server: Serving, model: str, versions: list[str], shape: list[int]) -> None:
    """The same through ModelMetadata."""
    reply = server.grpc.call("ModelMetadata", pb.ModelMetadataRequest(name=model))

    assert (reply.name, sorted(reply.versions), reply.platform) == (model, versions, "onnxruntime_onnx")
    assert tensors(reply.inputs) == [("INPUT0", "INT32", shape), ("INPUT1", "INT32", shape)]
    assert tensors(reply.outputs) == [("OUTPUT0", "INT32", shape), ("OUTPUT1", "INT32", shape)]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/v2/models/addsub/ready", id="C13-http"),
        pytest.param("/v2/models/addsub/versions/1/ready", id="C13-version-http"),
    ],
)
def test_model_is_ready(server: Serving, path: str) -> None:
    """The model, and one version of it."""
    assert server.client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("model", "version", "ready"),
    [
        pytest.param("addsub", "", True, id="C13-grpc"),
        pytest.param("addsub", "1", True, id="C13-version-grpc"),
        pytest.param("nope", "", False, id="C14-grpc"),
        pytest.param("addsub", "2", False, id="C12-ready-grpc"),
    ],
)
def test_grpc_tells_whether_a_model_is_ready(server: Serving, model: str, version: str, ready: bool) -> None:
    """What does not exist is not ready."""
    reply = server.grpc.call("ModelReady", pb.ModelReadyRequest(name=model, version=version))

    assert reply.ready is ready


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        pytest.param("ServerLive", pb.ServerLiveRequest(), "live", id="C77-live-grpc"),
        pytest.param("ServerReady", pb.ServerReadyRequest(), "ready", id="C77-ready-grpc"),
        pytest.param("ModelReady", pb.ModelReadyRequest(name="addsub"), "ready", id="C77-model-grpc"),
    ],
)
def test_grpc_health_calls_say_true(server: Serving, method: str, request_: Any, field: str) -> None:
    """All three."""
    assert getattr(server.grpc.call(method, request_), field) is True


@pytest.mark.parametrize(
    ("model", "version"),
    [
        pytest.param("nope", "", id="C78-grpc"),
        pytest.param("nope", "", id="C11-grpc"),
        pytest.param("addsub", "2", id="C12-grpc"),
        pytest.param("addsub", "abc", id="C79-grpc"),
    ],
)
def test_grpc_metadata_of_what_does_not_exist_are_not_found(server: Serving, model: str, version: str) -> None:
    """A word that is no alias of the model names nothing: deliberately NOT_FOUND, as `{version}` may be an alias here."""
    answer = server.grpc.refusal("ModelMetadata", pb.ModelMetadataRequest(name=model, version=version))

    assert answer.family == "NOT_FOUND"
    assert (version or model) in answer.text


def health_of(rpc: GrpcTransport, service: str) -> Any:
    """Call the standard health service."""
    check = rpc.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S)


@pytest.mark.parametrize("service", [pytest.param("", id="C89-grpc"), pytest.param(SERVICE, id="C89-service-grpc")])
def test_health_service_says_serving(rpc: GrpcTransport, service: str) -> None:
    """For the server as a whole and for the inference service."""
    assert health_of(rpc, service).status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("service", [pytest.param("nope", id="C90-grpc")])
def test_health_service_does_not_know_every_name(rpc: GrpcTransport, service: str) -> None:
    """An unknown name is NOT_FOUND (also B91)."""
    with pytest.raises(grpc.RpcError) as raised:
        health_of(rpc, service)

    assert refusal_of(raised.value).family == "NOT_FOUND"


def reflected(rpc: GrpcTransport, package: str, **question: str) -> reflection.ServerReflectionResponse:
    """Ask one question of server reflection; v1 and v1alpha are the same on the wire."""
    call = rpc.channel.stream_stream(
        f"/{package}.ServerReflection/ServerReflectionInfo",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=reflection.ServerReflectionResponse.FromString,
    )
    (answer,) = call(iter([reflection.ServerReflectionRequest(**question)]), timeout=TIMEOUT_S)
    return answer


@pytest.mark.parametrize(
    "package",
    [
        pytest.param("grpc.reflection.v1alpha", id="C91-v1alpha-grpc"),
        pytest.param("grpc.reflection.v1", id="C91-v1-grpc"),
    ],
)
def test_reflection_lists_services(rpc: GrpcTransport, package: str) -> None:
    """Under both names of the reflection service."""
    answer = reflected(rpc, package, list_services="")

    assert SERVICE in {service.name for service in answer.list_services_response.service}


@pytest.mark.parametrize("symbol", [pytest.param("inference.ModelInferRequest", id="C92-grpc")])
def test_reflection_tells_field_numbers(rpc: GrpcTransport, symbol: str) -> None:
    """Those of the protocol."""
    answer = reflected(rpc, "grpc.reflection.v1", file_containing_symbol=symbol)

    files = map(FileDescriptorProto.FromString, answer.file_descriptor_response.file_descriptor_proto)
    messages = {message.name: message for file in files for message in file.message_type}
    numbers = {field.name: field.number for field in messages["ModelInferRequest"].field}
    assert numbers == {
        "model_name": 1,
        "model_version": 2,
        "id": 3,
        "parameters": 4,
        "inputs": 5,
        "outputs": 6,
        "raw_input_contents": 7,
    }
