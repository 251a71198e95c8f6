"""`config.pbtxt`: a listing with settings, or with a problem that says what is wrong."""

from collections.abc import Iterable
from random import Random
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from penstock.domain.errors import LoadRefused
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.settings import resolve_options
from penstock.registry.model_folder import TRITON, listing_of
from penstock.registry.source import Fingerprint
from penstock.wire import inference

FORMED: Final = 0.5
_DEFAULTS: Final = ModelOptions()
_DEEPEST: Final = 4


class _Folder:
    """A model's folder that holds nothing but the case."""

    name = "m"

    def __init__(self, data: bytes) -> None:
        self._data = data

    def text(self, name: str) -> str:
        """Return the configuration, also in the place of label files."""
        return self._data.decode() if name == TRITON or not name.endswith((".toml", ".json")) else ""

    def folders(self) -> Iterable[str]:
        """Return one version."""
        return ("1",)

    def fingerprint(self, name: str) -> Fingerprint:  # noqa: ARG002 - as the protocol has it
        """Return nothing."""
        return ()


def case(data: bytes) -> bool:
    """Look at the model, and resolve its options as a loader does."""
    listing = listing_of(_Folder(data), [])
    if listing.problem:
        return False
    try:
        resolve_options(_DEFAULTS, listing.settings)
    except LoadRefused:
        return False
    return True


def mutate(data: bytes, rng: Random) -> bytes:
    """Put fields among the lines that the message knows, with values that are often of their types."""
    lines = data.split(b"\n")
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(lines) + 1)
        match rng.randrange(4):
            case 0 if at < len(lines):
                del lines[at]
            case 1 if at < len(lines):
                lines.insert(rng.randrange(len(lines) + 1), lines[at])
            case _:
                lines.insert(at, _field(inference.ModelConfig.DESCRIPTOR, rng, 0).encode("utf-8", "surrogatepass"))
    return b"\n".join(lines)


def _field(message: Descriptor, rng: Random, depth: int) -> str:
    field = rng.choice(message.fields)
    value = _value(field, rng, depth)
    return f"{field.name}{rng.choice((': ', ' ') if value.startswith('{') else (': ',))}{f'[{value}, {value}]' if rng.random() < 0.1 else value}"


def _value(field: FieldDescriptor, rng: Random, depth: int) -> str:
    if rng.random() < 0.05:
        return rng.choice(("{}", "-1", '"x"', "true", "nan", "[]", "1e400", "99999999999999999999", "KIND_GPU"))
    if field.message_type is not None:
        inner = (
            [_field(field.message_type, rng, depth + 1) for _ in range(rng.randrange(3))]
            if depth < _DEEPEST and field.message_type.fields
            else []
        )
        return "{ " + " ".join(inner) + " }"
    if field.enum_type is not None:
        return rng.choice([*(value.name for value in field.enum_type.values), "99", "-1"])
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return rng.choice(
            ('"onnxruntime"', '"m"', '""', "'x' 'y'", '"\\377"', '"../x"', '"1"', '"tensorrt"', '"precision_mode"', '"FP16"', '"\\0"')
        )
    return rng.choice(("0", "1", "2", "-1", "8", "true", "false", "2147483647", "4294967296", "0x7f", "07", "1.5", "inf"))


WORDS: Final = (
    b"{", b"}", b"[", b"]", b": ", b"#", b"\n", b'"', b"'", b"\\", b"input", b"output", b"dims", b"data_type: TYPE_FP32", b"dynamic_batching {}",
    b"[type.googleapis.com/x]", b"[a.b]: 1", b"<", b">", b";", b"parameters { key: 'a' value {} }",
)  # fmt: skip
