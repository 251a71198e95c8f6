"""Messages as JSON objects in the spelling that Triton's REST answers have.

protobuf's own `json_format` writes 64-bit integers as strings, which perf_analyzer and Model Analyzer refuse.
"""

import base64
import math
from typing import cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message


def as_json(message: Message) -> dict[str, object]:
    """Return the message as a JSON object: the proto's field names, enums by name, every integer a number.

    Scalars, enums, lists and maps are there even when default; messages and members of a oneof only when set.
    Bytes become base64, NaN and the infinities the strings that protobuf uses.
    """
    # The cast drops upb's private twin of the class, which the type stubs list beside it.
    descriptor = cast("Descriptor", message.DESCRIPTOR)
    return {field.name: _field(message, field) for field in descriptor.fields if not field.has_presence or message.HasField(field.name)}


def _field(message: Message, field: FieldDescriptor) -> object:
    value = getattr(message, field.name)
    if not field.is_repeated:
        return _value(field, value)
    if field.message_type is None or not field.message_type.GetOptions().map_entry:
        return [_value(field, element) for element in value]
    of_key, of_value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
    # protobuf's order differs from process to process.
    return {_key(of_key, key): _value(of_value, value[key]) for key in sorted(value)}


def _value(field: FieldDescriptor, value: object) -> object:
    match value:
        case Message():
            return as_json(value)
        case bytes():
            return base64.b64encode(value).decode()
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case int() if field.enum_type is not None:
            # A number that no name belongs to came from a newer peer; it stays a number.
            name = field.enum_type.values_by_number.get(value)
            return value if name is None else name.name
    return value


def _key(field: FieldDescriptor, key: object) -> str:
    return str(key).lower() if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL else str(key)
