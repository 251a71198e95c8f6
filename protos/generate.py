"""Make src/penstock/wire/inference.{binpb,pyi} of the .proto files beside this script.

    python protos/generate.py          write both
    python protos/generate.py --check  exit 1 if what is committed differs

Needs grpcio-tools, for protoc alone: what Python sees is written here, from the descriptors.
"""

import keyword
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_tools import protoc  # type: ignore[import-untyped]

PROTOS: Final = Path(__file__).resolve().parent
DESCRIPTORS: Final = PROTOS.parent / "src/penstock/wire/inference.binpb"
STUB: Final = DESCRIPTORS.with_suffix(".pyi")

HEADER: Final = '''\
"""The types of what inference.py builds. Made by protos/generate.py of protos/*.proto: do not edit."""

# fmt: off
# ruff: noqa: A002, E501, N802, PYI021

from collections.abc import Iterable, Mapping
from typing import Literal, final

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.containers import (
    MessageMap,
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
    ScalarMap,
)
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

POOL: DescriptorPool
SERVICE: ServiceDescriptor
'''

INDENT: Final = "    "


def compile_protos() -> FileDescriptorSet:
    """Return the compiled .proto files, each after those that it imports, without what protoc's version decides."""
    names = sorted(path.name for path in PROTOS.glob("*.proto"))
    with tempfile.NamedTemporaryFile() as out:
        if protoc.main(["protoc", f"-I{PROTOS}", "--include_imports", f"--descriptor_set_out={out.name}", *names]):
            sys.exit("protoc refused the .proto files")
        return without_json_names(FileDescriptorSet.FromString(Path(out.name).read_bytes()))


def without_json_names(files: FileDescriptorSet) -> FileDescriptorSet:
    """Return the same set without the JSON names that protoc derives: every reader derives them again."""
    messages = [message for file in files.file for message in file.message_type]
    while messages:
        message = messages.pop()
        messages.extend(message.nested_type)
        for field in message.field:
            field.ClearField("json_name")
    return files


def stub(files: FileDescriptorSet) -> str:
    """Return the text of a type stub for the messages and enums of all files."""
    pool = DescriptorPool()
    loaded = [pool.AddSerializedFile(file.SerializeToString()) for file in files.file]
    return "\n".join([HEADER.rstrip("\n"), *(line for file in loaded for line in file_lines(file)), ""])


def file_lines(file: FileDescriptor) -> Iterator[str]:
    """Yield the stub of one file, enums first."""
    for enum in file.enum_types_by_name.values():
        yield from enum_lines(enum)
    for message in file.message_types_by_name.values():
        yield ""
        yield from message_lines(message)


def enum_lines(enum: EnumDescriptor) -> Iterator[str]:
    """Yield an enum's wrapper and its values, which protobuf puts beside it, not inside."""
    yield f"{enum.name}: EnumTypeWrapper"
    for value in enum.values:
        yield f"{value.name}: int"


def message_lines(message: Descriptor) -> Iterator[str]:
    """Yield the class of one message with the classes nested in it."""
    yield "@final"
    yield f"class {message.name}(Message):"
    for nested in message.nested_types:
        if not nested.GetOptions().map_entry:
            yield from indented(message_lines(nested))
            yield ""
    for enum in message.enum_types:
        yield from indented(enum_lines(enum))
    # A field named like a keyword cannot be written in Python source, only reached by getattr.
    fields = [field for field in message.fields if not keyword.iskeyword(field.name)]
    yield from indented((*attributes(fields), *constructor(fields), *presence(message)))


def indented(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines one level deeper."""
    return (INDENT + line if line else line for line in lines)


def attributes(fields: list[FieldDescriptor]) -> Iterator[str]:
    """Yield the fields: scalars may be assigned, messages and containers only changed in place."""
    for field in fields:
        if field.is_repeated or field.message_type:
            yield "@property"
            yield f"def {field.name}(self) -> {kept(field)}: ..."
        else:
            yield f"{field.name}: {element(field)}"


def constructor(fields: list[FieldDescriptor]) -> Iterator[str]:
    """Yield `__init__` with one keyword argument per field."""
    if not fields:
        yield "def __init__(self) -> None: ..."
        return
    yield "def __init__("
    yield INDENT + "self,"
    yield INDENT + "*,"
    for field in fields:
        yield INDENT + f"{field.name}: {given(field)} = ...,"
    yield ") -> None: ..."


def presence(message: Descriptor) -> Iterator[str]:
    """Yield the questions that may be asked about a message: which fields are set, which one of a oneof."""
    asked = [field.name for field in message.fields if field.has_presence]
    if asked:
        yield f"def HasField(self, field_name: {literal(asked)}) -> bool: ..."
    for oneof in message.oneofs:
        result = literal([field.name for field in oneof.fields])
        yield f"def WhichOneof(self, oneof_group: {literal([oneof.name])}) -> {result} | None: ..."


def literal(values: list[str]) -> str:
    """Return the type of one out of some strings."""
    return "Literal[" + ", ".join(f'"{value}"' for value in values) + "]"


def kept(field: FieldDescriptor) -> str:
    """Return the type that a message or container field has when read."""
    if entry := map_entry(field):
        key, value = (entry.fields_by_name[name] for name in ("key", "value"))
        return f"{'MessageMap' if value.message_type else 'ScalarMap'}[{element(key)}, {element(value)}]"
    if not field.is_repeated:
        return element(field)
    container = "RepeatedCompositeFieldContainer" if field.message_type else "RepeatedScalarFieldContainer"
    return f"{container}[{element(field)}]"


def given(field: FieldDescriptor) -> str:
    """Return the type that the constructor takes for a field."""
    if entry := map_entry(field):
        key, value = (element(entry.fields_by_name[name]) for name in ("key", "value"))
        return f"Mapping[{key}, {value}] | None"
    if field.is_repeated:
        return f"Iterable[{element(field)}] | None"
    return f"{element(field)} | None" if field.has_presence else element(field)


def map_entry(field: FieldDescriptor) -> Descriptor | None:
    """Return the message that holds a map field's keys and values, None for other fields."""
    entry = field.message_type
    return entry if entry is not None and entry.GetOptions().map_entry else None


def element(field: FieldDescriptor) -> str:
    """Return the Python type of one value of a field."""
    if field.message_type:
        return str(field.message_type.full_name.removeprefix("inference."))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return "bytes"
    return SCALARS[field.cpp_type]


SCALARS: Final = {
    FieldDescriptor.CPPTYPE_BOOL: "bool",
    FieldDescriptor.CPPTYPE_DOUBLE: "float",
    FieldDescriptor.CPPTYPE_ENUM: "int",
    FieldDescriptor.CPPTYPE_FLOAT: "float",
    FieldDescriptor.CPPTYPE_INT32: "int",
    FieldDescriptor.CPPTYPE_INT64: "int",
    FieldDescriptor.CPPTYPE_STRING: "str",
    FieldDescriptor.CPPTYPE_UINT32: "int",
    FieldDescriptor.CPPTYPE_UINT64: "int",
}


def check(files: FileDescriptorSet) -> None:
    """Exit 1 and name the files if what is committed is not what the .proto files say."""
    committed = without_json_names(FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()))
    stale = [DESCRIPTORS] * (committed != files) + [STUB] * (STUB.read_text() != stub(files))
    if stale:
        names = ", ".join(path.name for path in stale)
        sys.exit(f"{names} differ from protos/*.proto: run `python protos/generate.py`")


def main() -> None:
    """Write both files, or with --check compare them."""
    files = compile_protos()
    if "--check" in sys.argv[1:]:
        check(files)
        return
    DESCRIPTORS.write_bytes(files.SerializeToString(deterministic=True))
    STUB.write_text(stub(files))


if __name__ == "__main__":
    main()
