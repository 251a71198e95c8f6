"""The messages of package `inference`: `ModelInferRequest`, `ModelConfig` and all others, as attributes of this module.

They are built from `inference.binpb`, which `protos/generate.py` makes of `protos/*.proto`, in a descriptor pool of
our own. In protobuf's default pool they would clash with the same names in tritonclient, kserve or mlserver, and a
process that embeds Penstock could import none of those.
"""

from pathlib import Path
from typing import Final

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message_factory import GetMessageClass

POOL: Final = DescriptorPool()
"""Where the messages live; reflection must be given this pool."""

for _proto in FileDescriptorSet.FromString(Path(__file__).with_name("inference.binpb").read_bytes()).file:
    POOL.AddSerializedFile(_proto.SerializeToString())

SERVICE: Final = POOL.FindServiceByName("inference.GRPCInferenceService")
"""The gRPC service: its methods with their request and answer types."""


def _members(file: FileDescriptor) -> dict[str, object]:
    """Return what generated code would define for a file, by name: message classes, enums and enum values."""
    messages = {name: GetMessageClass(descriptor) for name, descriptor in file.message_types_by_name.items()}
    enums = {name: EnumTypeWrapper(descriptor) for name, descriptor in file.enum_types_by_name.items()}
    values = {name: value for enum in enums.values() for name, value in enum.items()}
    return {**messages, **enums, **values}


globals().update(_members(POOL.FindFileByName("model_config.proto")))
globals().update(_members(POOL.FindFileByName("grpc_service.proto")))
