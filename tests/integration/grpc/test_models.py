"""What the server tells about itself and its models."""

from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from penstock.wire import inference as pb

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

NOT_FOUND, INVALID = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED


async def test_server_is_live_and_ready(served: Any) -> None:
    """C77: liveness, readiness and a model's readiness."""
    assert (await served.ask("ServerLive", pb.ServerLiveRequest())).live
    assert (await served.ask("ServerReady", pb.ServerReadyRequest())).ready
    assert (await served.ask("ModelReady", pb.ModelReadyRequest(name="addsub"))).ready


async def test_draining_server_is_live_and_not_ready(served: Any) -> None:
    """Readiness follows the function that the server was given."""
    served.admission.draining = True

    assert (await served.ask("ServerLive", pb.ServerLiveRequest())).live
    assert not (await served.ask("ServerReady", pb.ServerReadyRequest())).ready


@pytest.mark.parametrize(
    ("name", "version", "ready"),
    [("addsub", "1", True), ("addsub", "2", False), ("addsub", "challenger", False), ("nope", "", False)],
)
async def test_model_readiness_of_a_reference(served: Any, name: str, version: str, ready: bool) -> None:
    """What does not exist is not ready, and that is no error."""
    answer = await served.ask("ModelReady", pb.ModelReadyRequest(name=name, version=version))

    assert answer.ready is ready


async def test_model_readiness_of_a_malformed_version_is_an_error(served: Any) -> None:
    """A version that can never be is the caller's mistake."""
    error = await served.refusal("ModelReady", pb.ModelReadyRequest(name="addsub", version="1.0"))

    assert error.code() is INVALID


async def test_server_metadata_names_the_extensions(served: Any) -> None:
    """Clients look for extension names; shared memory, which is not offered, is not among them."""
    answer = await served.ask("ServerMetadata", pb.ServerMetadataRequest())

    assert answer.name == "penstock"
    assert {"binary_tensor_data", "statistics"} <= set(answer.extensions)
    assert not any("shared_memory" in name for name in answer.extensions)


async def test_model_metadata_has_the_batch_in_front(served: Any) -> None:
    """All ready versions are listed, and shapes include the batch dimension as -1."""
    answer = await served.ask("ModelMetadata", pb.ModelMetadataRequest(name="addsub"))

    assert sorted(answer.versions) == ["1", "3"]
    assert answer.platform == "onnxruntime_onnx"
    assert [(t.name, t.datatype, list(t.shape)) for t in answer.inputs] == [
        ("INPUT0", "INT32", [-1, 16]),
        ("INPUT1", "INT32", [-1, 16]),
    ]


@pytest.mark.parametrize("rpc", ["ModelMetadata", "ModelConfig", "ModelStatistics"])
@pytest.mark.parametrize(
    ("name", "version", "status"),
    [
        ("nope", "", NOT_FOUND),
        ("addsub", "2", NOT_FOUND),
        ("addsub", "abc", NOT_FOUND),
        ("addsub", "latest", INVALID),
        ("addsub", "01", INVALID),
        ("addsub", "-1", INVALID),
        ("../etc", "", INVALID),
    ],
)
async def test_question_about_what_is_not_there(served: Any, rpc: str, name: str, version: str, status: grpc.StatusCode) -> None:
    """C78, C79: unknown models, versions and aliases are NOT_FOUND, malformed ones INVALID_ARGUMENT."""
    asked = getattr(pb, f"{rpc}Request")(name=name, version=version)

    error = await served.refusal(rpc, asked)

    assert error.code() is status


async def test_model_config_is_tritons(served: Any) -> None:
    """The configuration in force leaves the batch out of dims."""
    config = (await served.ask("ModelConfig", pb.ModelConfigRequest(name="addsub"))).config

    assert config.max_batch_size == 8
    assert list(config.input[0].dims) == [16]
    assert config.input[0].data_type == pb.TYPE_INT32


async def test_statistics_list_every_ready_version(served: Any) -> None:
    """Versions without requests are listed with zeros."""
    answer = await served.ask("ModelStatistics", pb.ModelStatisticsRequest())

    assert [(s.name, s.version, s.inference_count) for s in answer.model_stats] == [
        ("addsub", "1", 0),
        ("addsub", "3", 0),
        ("scores", "1", 0),
    ]


@pytest.mark.parametrize("kind", ["System", "Cuda"])
async def test_shared_memory_is_empty_and_unregisters(served: Any, kind: str) -> None:
    """Clients that unregister everything at their start get on; nothing is ever listed."""
    status = await served.ask(f"{kind}SharedMemoryStatus", getattr(pb, f"{kind}SharedMemoryStatusRequest")())
    await served.ask(f"{kind}SharedMemoryUnregister", getattr(pb, f"{kind}SharedMemoryUnregisterRequest")())

    assert not status.regions


@pytest.mark.parametrize(
    ("rpc", "asked"),
    [
        ("SystemSharedMemoryRegister", pb.SystemSharedMemoryRegisterRequest(name="r", key="/r", byte_size=4)),
        ("CudaSharedMemoryRegister", pb.CudaSharedMemoryRegisterRequest(name="r", byte_size=4)),
        ("TraceSetting", pb.TraceSettingRequest()),
        ("RepositoryIndex", pb.RepositoryIndexRequest(repository_name="other")),
    ],
)
async def test_what_is_not_offered_says_so(served: Any, rpc: str, asked: Message) -> None:
    """UNIMPLEMENTED with a reason."""
    error = await served.refusal(rpc, asked)

    assert error.code() is UNIMPLEMENTED
    assert "not offered" in error.details() or "repository_name" in error.details()


async def test_unknown_rpc_is_unimplemented(served: Any) -> None:
    """C88: not UNKNOWN."""
    call = served.channel.unary_unary(f"/{pb.SERVICE.full_name}/Nope")

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(b"", timeout=20)

    assert raised.value.code() is UNIMPLEMENTED


async def test_every_method_of_the_service_is_served(served: Any) -> None:
    """No RPC of the protocol is left to the library's "Method not found!"."""
    for method in pb.SERVICE.methods:
        if not method.client_streaming:
            call = served.rpc(method.name)(b"", timeout=20)

            assert await call.details() != "Method not found!"


@pytest.mark.parametrize("rpc", ["ServerLive", "ModelReady", "ModelInfer", "RepositoryModelLoad"])
async def test_bytes_that_are_no_message_are_refused(served: Any, rpc: str) -> None:
    """Messages are parsed by us, not by the library, so garbage is the caller's INVALID_ARGUMENT."""
    error = await served.refusal(rpc, b"\xff\xff\xff", (("authorization", "Bearer secret"),))

    assert error.code() is INVALID
    assert "message is not valid" in error.details()
