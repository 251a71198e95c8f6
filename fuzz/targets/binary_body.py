"""JSON with raw tensors behind it (binary tensor extension), and raw tensors alone.

A case is: a byte for the model, two for the length of the JSON (the last bit of the first tells whether the header is there), the body.
"""

import re
from random import Random
from typing import Any, Final

import echo
import numpy as np
from json_oracle import check_input, document_of
from json_trees import mutated_json
from mutation import mutated

from penstock.domain.errors import InvalidInput, Unimplemented
from penstock.domain.request import InferenceRequest
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Tensor
from penstock.http.codec import Encoded, decode

FORMED: Final = 0.8
_HEAD: Final = 3
_TEXTS: Final = (
    *DATATYPES,
    "X",
    "A",
    "B",
    "Y",
    "parameters",
    "binary_data_size",
    "binary_data_output",
    "binary_data",
    "classification",
    "outputs",
    "data",
    "id",
)
WORDS: Final = (b'"binary_data_size"', b'"parameters"', b"\x01\0\0\0a", b"\xff\xff\xff\xff", b"\0" * 8, b"{", b"}", b"4", b"0")


def case(data: bytes) -> bool:
    """Read a body twice, since readers remember, and write an answer."""
    if len(data) < _HEAD:
        return False
    schema, body = echo.schema_for(data[0]), data[_HEAD:]
    length = int.from_bytes(data[1:_HEAD], "big")
    first, second = _read(body, length, schema), _read(body, length, schema)
    if first is None or second is None:
        assert first is second, "read once, and refused once"
        return False
    request, encode = first
    assert (echo.told(request.inputs), request.outputs) == (echo.told(second[0].inputs), second[0].outputs)
    if length:
        _check(request, document_of(body[:length])["inputs"], body[length:])
    else:
        assert sum(map(_size, request.inputs)) == len(body)
    return _answer(request, schema, encode)


def _read(body: bytes, length: int, schema: ModelSchema) -> tuple[InferenceRequest, Any] | None:
    request = echo.request()
    try:
        return request, decode(memoryview(body), str(length), request, schema, len(body))
    except (InvalidInput, Unimplemented) as error:
        assert error.message.isprintable(), error.message
        return None


def _check(request: InferenceRequest, entries: Any, raw: bytes) -> None:
    at = 0
    for tensor, entry in zip(request.inputs, entries, strict=True):
        if "data" in entry:
            check_input(tensor, entry["name"], entry["datatype"], entry["shape"], entry["data"])
            continue
        size = entry["parameters"]["binary_data_size"]
        assert (tensor.name, tensor.datatype.wire, list(tensor.array.shape)) == (entry["name"], entry["datatype"], entry["shape"])
        assert _raw(tensor) == raw[at : at + size]
        at += size
    assert at == len(raw)


def _raw(tensor: Tensor) -> bytes:
    if tensor.datatype.wire != "BYTES":
        return tensor.array.tobytes()
    texts = [item.encode() for item in tensor.array.reshape(-1).tolist()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _size(tensor: Tensor) -> int:
    return len(_raw(tensor))


def _answer(request: InferenceRequest, schema: ModelSchema, encode: Any) -> bool:
    try:
        schema.check(request)
        response = echo.answer(request, schema)
        encoded: Encoded = encode(response)
    except InvalidInput:
        return False
    document, at = document_of(bytes(encoded.parts[0])), 0
    raw = b"".join(map(bytes, encoded.parts[1:]))
    for tensor, entry in zip(response.outputs, document["outputs"], strict=True):
        size = entry.get("parameters", {}).get("binary_data_size")
        if size is not None and entry["datatype"] == tensor.datatype.wire:
            assert raw[at : at + size] == _raw(tensor)
        at += size or 0
    assert at == len(raw)
    return True


def mutate(data: bytes, rng: Random) -> bytes:
    """Change the JSON or what is behind it, and say again how long each is; not always."""
    length = int.from_bytes(data[1:_HEAD], "big")
    text, raw = data[_HEAD : _HEAD + length], data[_HEAD + length :]
    before = len(raw)
    chosen = data[:1] if data and rng.random() < 0.9 else bytes([rng.randrange(len(echo.SCHEMAS))])
    match rng.randrange(4):
        case 0:
            raw = mutated(raw, rng, WORDS)
        case 1:
            text, raw = _tensor(rng)
        case _:
            text = mutated_json(text, rng, (*_TEXTS, len(raw)))
    if rng.random() < 0.5:
        text = re.sub(rb'("binary_data_size": ?)%d\b' % before, rb"\g<1>%d" % len(raw), text)
    said = len(text) if rng.random() < 0.9 else rng.choice((0, 1, len(text) - 1, len(text) + 1, 0xFFFF))
    return chosen + (said & 0xFFFF).to_bytes(2, "big") + text + raw


def _tensor(rng: Random) -> tuple[bytes, bytes]:
    """Return a question of one tensor, which fits in most cases."""
    datatype = rng.choice(list(DATATYPES.values()))
    shape = [rng.randrange(4) for _ in range(rng.randrange(4))]
    raw = (
        rng.randbytes(int(np.prod(shape)) * max(1, datatype.itemsize)) if datatype.wire != "BYTES" else b"\x01\0\0\0a" * int(np.prod(shape))
    )
    size = len(raw) + (rng.randrange(-1, 2) if rng.random() < 0.1 else 0)
    asked = rng.choice(
        (
            "",
            ',"parameters":{"binary_data_output":true}',
            ',"outputs":[{"name":"Y","parameters":{"binary_data":true}}]',
            ',"outputs":[{"name":"Y","parameters":{"classification":2}}]',
        )
    )
    text = f'{{"inputs":[{{"name":"X","datatype":"{datatype.wire}","shape":{shape},"parameters":{{"binary_data_size":{size}}}}}]{asked}}}'
    return text.encode(), raw
