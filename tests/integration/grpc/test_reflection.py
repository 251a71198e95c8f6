"""Reflection, as grpcurl (v1, then v1alpha) and older tools ask it."""

import contextlib
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2 as reflection

from penstock.grpc.options import GrpcOptions
from penstock.wire import inference as pb

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

VERSIONS = ["v1", "v1alpha"]
REQUEST = reflection.ServerReflectionRequest


def ask(served: Any, version: str) -> "grpc.aio.StreamStreamCall":
    """Return a call of ServerReflectionInfo."""
    method = served.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
        response_deserializer=reflection.ServerReflectionResponse.FromString,
    )
    return method(timeout=20)


async def answers(served: Any, version: str, *requests: Any) -> list[reflection.ServerReflectionResponse]:
    """Return the answers to the requests of one stream."""
    call = ask(served, version)
    replies = []
    for request in requests:
        await call.write(request)
        replies.append(await call.read())
    await call.done_writing()
    return replies


def pool_of(reply: reflection.ServerReflectionResponse) -> DescriptorPool:
    """Return a fresh pool of nothing but the files of a reply."""
    pool = DescriptorPool()
    files = [FileDescriptorProto.FromString(file) for file in reply.file_descriptor_response.file_descriptor_proto]
    for file in sorted(files, key=lambda file: len(file.dependency)):
        pool.AddSerializedFile(file.SerializeToString())
    return pool


@pytest.mark.parametrize("version", VERSIONS)
async def test_all_services_are_listed(served: Any, version: str) -> None:
    """C91: inference, health and both reflections."""
    (reply,) = await answers(served, version, REQUEST(list_services=""))

    assert [service.name for service in reply.list_services_response.service] == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
    ]


@pytest.mark.parametrize("version", VERSIONS)
async def test_message_is_described_with_all_that_it_needs(served: Any, version: str) -> None:
    """C92: a client that knows nothing can build the message from the files of the reply."""
    (reply,) = await answers(served, version, REQUEST(file_containing_symbol="inference.ModelInferRequest"))

    fields = pool_of(reply).FindMessageTypeByName("inference.ModelInferRequest").fields
    assert {field.name: field.number for field in fields} == {
        "model_name": 1,
        "model_version": 2,
        "id": 3,
        "parameters": 4,
        "inputs": 5,
        "outputs": 6,
        "raw_input_contents": 7,
    }


@pytest.mark.parametrize(
    "symbol",
    [
        "inference.GRPCInferenceService",
        "inference.GRPCInferenceService.ModelInfer",
        "inference.ModelInferRequest.InferInputTensor",
        "inference.ModelConfig",
        "grpc.health.v1.Health",
        "grpc.health.v1.Health.Watch",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1.ServerReflectionRequest",
        "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo",
    ],
)
async def test_symbol_is_found(served: Any, symbol: str) -> None:
    """Services, methods, messages and nested messages, of every service that is listed."""
    (reply,) = await answers(served, "v1", REQUEST(file_containing_symbol=symbol))

    files = [FileDescriptorProto.FromString(f) for f in reply.file_descriptor_response.file_descriptor_proto]
    assert any(symbol.startswith(f"{file.package}.") for file in files)
    assert reply.original_request.file_containing_symbol == symbol


async def test_file_is_found_by_its_name(served: Any) -> None:
    """Tools ask for imported files by name."""
    (reply,) = await answers(served, "v1", REQUEST(file_by_filename="model_config.proto"))

    assert pool_of(reply).FindMessageTypeByName("inference.ModelConfig").full_name == "inference.ModelConfig"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "request_",
    [
        REQUEST(file_containing_symbol="inference.Nope"),
        REQUEST(file_containing_symbol="inference.GRPCInferenceService.Nope"),
        REQUEST(file_containing_symbol=""),
        REQUEST(file_by_filename="nope.proto"),
        REQUEST(all_extension_numbers_of_type="inference.Nope"),
    ],
    ids=["message", "method", "empty", "file", "extension"],
)
async def test_unknown_symbol_is_an_answer_and_the_stream_stays_open(
    served: Any, version: str, request_: reflection.ServerReflectionRequest
) -> None:
    """Code 5 in the reply; the next question of the stream is answered."""
    unknown, known = await answers(served, version, request_, REQUEST(list_services=""))

    assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert known.HasField("list_services_response")


async def test_bytes_that_are_no_question_end_the_stream(served: Any) -> None:
    """INVALID_ARGUMENT, as everywhere."""
    call = ask(served, "v1")
    await call.write(b"\xff")

    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.usefixtures("served")
async def test_process_keeps_its_default_pool() -> None:
    """Reflection's pool is its own: the default pool of a process that embeds us learns nothing of `inference`."""
    assert pb.POOL is not descriptor_pool.Default()
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindFileContainingSymbol("inference.ModelInferRequest")


async def test_server_without_reflection_does_not_describe_itself(serve: Any) -> None:
    """An operator can turn it off."""
    async with serve(GrpcOptions(reflection=False)) as served:
        call = ask(served, "v1")
        with contextlib.suppress(grpc.aio.AioRpcError):  # the refusal may be there before the question is written
            await call.write(REQUEST(list_services=""))

        assert await call.code() is grpc.StatusCode.UNIMPLEMENTED
