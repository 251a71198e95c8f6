"""Server reflection: tools such as grpcurl ask it for the services and their messages.

Served as `grpc.reflection.v1` and as `v1alpha`, whose messages are the same on the wire.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from google.protobuf import text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from penstock.domain.errors import PenstockError
from penstock.grpc.call import CallInfo, Ended, Service, StreamHandler, parse
from penstock.grpc.talk import Write, talked
from penstock.wire import inference as pb

_ALPHA: Final = "grpc.reflection.v1alpha"
NAMES: Final = ("grpc.reflection.v1.ServerReflection", f"{_ALPHA}.ServerReflection")


def reflection_services(names: Sequence[str]) -> list[Service]:
    """Return the reflection of the named services and of itself, under both of its names."""
    servicer = reflection.aio.ReflectionServicer((*names, *NAMES), pool=_Symbols(_pool()))
    return [Service(name, {}, {"ServerReflectionInfo": _handler(servicer.ServerReflectionInfo)}) for name in NAMES]


def _handler(answers: Callable[..., AsyncIterator[reflection_pb2.ServerReflectionResponse]]) -> StreamHandler:
    async def handle(requests: AsyncIterator[bytes], _call: CallInfo, write: Write) -> Ended:
        questions = (parse(reflection_pb2.ServerReflectionRequest, data) async for data in requests)
        try:
            async for answer in answers(questions, None):
                await write(answer.SerializeToString())
        except PenstockError as error:
            return Ended(error=error)
        return Ended()

    return talked(handle)


class _Symbols:
    """A pool that also finds methods, which protobuf's own does not, though reflection's clients ask for them."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a pool has
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 - the pool's name for it
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            return self._pool.FindServiceByName(service).methods_by_name[method].containing_service.file


def _pool() -> DescriptorPool:
    """Return a pool of all that is served: our messages are in a private pool, the others in protobuf's default one."""
    pool = DescriptorPool()
    files = [pb.POOL.FindFileByName(name) for name in ("model_config.proto", "grpc_service.proto")]
    for file in [*files, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR]:
        pool.AddSerializedFile(file.serialized_pb)
    pool.AddSerializedFile(_version_1().SerializeToString())
    return pool


def _version_1() -> FileDescriptorProto:
    """Return the file of `grpc.reflection.v1`, which grpcio-reflection lacks: v1alpha's under another package name."""
    alpha = FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    text = text_format.MessageToString(alpha).replace("v1alpha", "v1")
    return text_format.Parse(text, FileDescriptorProto())
