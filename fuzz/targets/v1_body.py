"""The JSON of V1's `:predict`: refused with a reason, or read as Python's `json` and numpy read it."""

import base64
from random import Random
from typing import Any, Final

import echo
from json_oracle import check_values, document_of, leaves
from json_trees import mutated_json

from penstock.domain.errors import InvalidInput
from penstock.domain.request import InferenceRequest
from penstock.domain.schema import ModelSchema
from penstock.http.v1 import decode

FORMED: Final = 0.7
_TEXTS: Final = ("instances", "inputs", "signature_name", "b64", "X", "A", "B", "floats", "texts", "mask", "AAE=", "YQ==", "*")
WORDS: Final = (
    *(f'"{text}"'.encode() for text in _TEXTS),
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"NaN",
    b"true",
    b'{"b64":"YQ=="}',
    b"[[1,2]]",
)


def case(data: bytes) -> bool:
    """Read a body, and write an answer."""
    if not data:
        return False
    schema, body, request = echo.schema_for(data[0]), data[1:], echo.request()
    try:
        encode = decode(body, request, schema, len(body))
    except InvalidInput as error:
        assert error.message.isprintable(), error.message
        return False
    document = document_of(body)
    for tensor in request.inputs:
        check_values(tensor.array, list(map(_unpacked, leaves(_given(document, tensor.name, schema)))))
    return _answer(request, schema, encode)


def _given(document: Any, name: str, schema: ModelSchema) -> Any:
    """Return what stands for an input, by row or by column, named or not."""
    column = document.get("instances", document.get("inputs"))
    if isinstance(column, dict) and column.keys() != {"b64"}:
        return column[name]
    if len(schema.required) == 1 and not (isinstance(column, list) and any(map(_is_row, column)) and "instances" in document):
        return column
    return [row[name] for row in column]


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() != {"b64"}


def _unpacked(value: Any) -> Any:
    return base64.b64decode(value["b64"]).decode() if isinstance(value, dict) else value


def _answer(request: InferenceRequest, schema: ModelSchema, encode: Any) -> bool:
    try:
        schema.check(request)
        response = echo.answer(request, schema)
        encoded = encode(response)
    except InvalidInput:
        return False
    document = document_of(bytes(encoded.parts[0]))
    (key,) = document
    if len(response.outputs) == 1:
        check_values(response.outputs[0].array, document[key])
    return True


def mutate(data: bytes, rng: Random) -> bytes:
    """Change values, and keep it JSON; sometimes ask another model."""
    chosen = data[:1] if data and rng.random() < 0.9 else bytes([rng.randrange(len(echo.SCHEMAS))])
    return chosen + mutated_json(data[1:], rng, _TEXTS)
