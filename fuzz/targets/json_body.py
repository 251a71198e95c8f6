"""The JSON of a prediction (Open Inference Protocol, v2): refused with a reason, or read as Python's `json` and numpy read it."""

from random import Random
from typing import Any, Final

import echo
from json_oracle import check_input, check_output, document_of
from json_trees import mutated_json

from penstock.domain.errors import InvalidInput, Unimplemented
from penstock.domain.request import InferenceRequest
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES
from penstock.http.codec import Encoded, decode

FORMED: Final = 0.7
_TEXTS: Final = (
    *DATATYPES, "X", "A", "Y", "B", "id", "inputs", "outputs", "name", "datatype", "shape", "data", "parameters", "binary_data",
    "binary_data_output", "binary_data_size", "classification", "timeout", "priority", "sequence_id", "shared_memory_region",
)  # fmt: skip
WORDS: Final = (
    *(f'"{text}"'.encode() for text in _TEXTS), b"{", b"}", b"[", b"]", b",", b":", b"NaN", b"-Infinity", b"true", b"null", b"1e39", b"\\ud800",
    b'{"name":"X","datatype":"FP32","shape":[1,1],"data":[1]}', b"[" * 64, b" ", b"\xff", b"\xef\xbb\xbf",
)  # fmt: skip


def case(data: bytes) -> bool:
    """Read a body twice, since readers remember, and write an answer."""
    if not data:
        return False
    schema, body = echo.schema_for(data[0]), data[1:]
    first, second = _read(body, schema), _read(body, schema)
    if first is None or second is None:
        assert first is second, "read once, and refused once"
        return False
    request, encode = first
    assert echo.told(request.inputs) == echo.told(second[0].inputs)
    document = document_of(body)
    for tensor, entry in zip(request.inputs, document["inputs"], strict=True):
        check_input(tensor, entry["name"], entry["datatype"], entry["shape"], entry["data"])
    assert request.client_id == document.get("id", "")
    return _accepted(request, schema) and _answer(request, schema, encode)


def _read(body: bytes, schema: ModelSchema) -> tuple[InferenceRequest, Any] | None:
    request = echo.request()
    try:
        return request, decode(body, None, request, schema, len(body))
    except (InvalidInput, Unimplemented) as error:
        assert error.message.isprintable(), error.message
        return None


def _accepted(request: InferenceRequest, schema: ModelSchema) -> bool:
    try:
        schema.check(request)
    except InvalidInput:
        return False
    return True


def _answer(request: InferenceRequest, schema: ModelSchema, encode: Any) -> bool:
    response = echo.answer(request, schema)
    try:
        encoded: Encoded = encode(response)
    except InvalidInput:  # as of too many classes
        return False
    document = document_of(bytes(encoded.parts[0]))
    sizes = [entry.get("parameters", {}).get("binary_data_size", 0) for entry in document["outputs"]]
    assert sum(sizes) == sum(len(part) for part in encoded.parts[1:])
    for tensor, entry in zip(response.outputs, document["outputs"], strict=True):
        if "data" in entry and entry["datatype"] == tensor.datatype.wire:
            check_output(tensor, entry)
    return True


def mutate(data: bytes, rng: Random) -> bytes:
    """Change values, and keep it JSON; sometimes ask another model."""
    chosen = data[:1] if data and rng.random() < 0.9 else bytes([rng.randrange(len(echo.SCHEMAS))])
    return chosen + mutated_json(data[1:], rng, _TEXTS)
