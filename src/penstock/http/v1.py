"""The V1 protocol: TensorFlow Serving's and KServe's `:predict`, in row and column format."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from penstock.domain.errors import InvalidInput
from penstock.domain.names import shown
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, RAW_ONLY, Array, Tensor, TensorSpec
from penstock.http.codec import Encode, Encoded
from penstock.http.json_data import array_of_json
from penstock.http.json_text import json_of, parse
from penstock.http.json_weight import is_long
from penstock.http.long_list import LongList, Place, json_of_body, read_long
from penstock.wire.raw import Buffer, text_of

_BYTES = DATATYPES["BYTES"]


def decode(body: Buffer, request: InferenceRequest, schema: ModelSchema, limit: int) -> Encode:
    """Fill the request from a V1 body and return how its answer is written.

    Raises `InvalidInput`, and `TooLarge` for JSON that would take far more than its bytes; `limit` is that of a body.
    """
    document = read_long(json_of_body(body, len(body)), limit, _values) if is_long(len(body), limit) else parse(body)
    if not isinstance(document.get("signature_name", ""), str):
        raise InvalidInput("'signature_name' must be a string")
    if ("instances" in document) == ("inputs" in document):
        both = "instances" in document
        raise InvalidInput(
            "expecting only one of 'inputs' and 'instances'" if both else "missing 'inputs' or 'instances'; send one of them"
        )
    by_row = "instances" in document
    values = _rows(document["instances"], schema) if by_row else _columns(document["inputs"], schema)
    request.inputs = [_tensor(schema, schema.input_named[name], value) for name, value in values.items()]
    _check_outputs(schema)
    return _by_row if by_row else _by_column


def _values(document: dict[str, Any]) -> list[Place]:
    inputs = document.get("inputs")
    named = [(inputs, name) for name in inputs] if isinstance(inputs, dict) else []
    return [(document, "instances"), (document, "inputs"), *named]


def _rows(instances: object, schema: ModelSchema) -> dict[str, object]:
    if isinstance(instances, LongList) and len(schema.required) == 1:
        return {schema.required[0]: instances}
    if not isinstance(instances, list):
        raise InvalidInput(f"expecting 'instances' to be a list, not {shown(repr(instances))}")
    if not instances:
        raise InvalidInput("no values in 'instances'; send at least one row")
    if not any(_is_table(row) for row in instances) and len(schema.required) == 1:
        return {schema.required[0]: instances}
    for row in instances:
        _check_names(row, schema)
    if any(row.keys() != instances[0].keys() for row in instances):
        raise InvalidInput("every row of 'instances' must name the same inputs")
    return {name: [row[name] for row in instances] for name in instances[0]}


def _columns(inputs: object, schema: ModelSchema) -> Mapping[str, object]:
    if not _is_table(inputs) and len(schema.required) == 1:
        return {schema.required[0]: inputs}
    _check_names(inputs, schema)
    assert isinstance(inputs, dict), "checked just now"  # noqa: S101
    return inputs


def _is_table(value: object) -> bool:
    """Tell whether the value names inputs: an object, but not the `{"b64": …}` that stands for bytes."""
    return isinstance(value, dict) and value.keys() != {"b64"}


def _check_names(value: object, schema: ModelSchema) -> None:
    if not isinstance(value, dict):
        raise InvalidInput(f"the model has several inputs; send objects with the names {', '.join(schema.required)}")
    missing = [name for name in schema.required if name not in value]
    surplus = [name for name in value if name not in schema.input_named]
    if missing or surplus:
        raise InvalidInput(
            f"the inputs do not fit the model: missing {', '.join(map(shown, missing)) or 'none'}, "
            f"not known {', '.join(map(shown, surplus)) or 'none'}"
        )


def _tensor(schema: ModelSchema, spec: TensorSpec, value: object) -> Tensor:
    if isinstance(value, LongList):
        shape = value.shape()
        schema.check_input(spec.name, spec.datatype, shape)  # before room is made for what would be refused then
        return Tensor(spec.name, spec.datatype, array_of_json(spec.name, spec.datatype, shape, value))
    shape, flat = _unfolded(spec, value)
    return Tensor(spec.name, spec.datatype, array_of_json(spec.name, spec.datatype, shape, flat))


def _unfolded(spec: TensorSpec, value: object) -> tuple[tuple[int, ...], list[Any]]:
    """Return the shape of a nested list and its values; raises `InvalidInput` for a ragged one."""
    shape: list[int] = []
    level: list[Any] = [value]
    while level and isinstance(level[0], list):
        size = len(level[0])
        if any(not isinstance(item, list) or len(item) != size for item in level):
            raise InvalidInput(f"the values of input {shown(spec.name)} are ragged: expecting tensor size {size} everywhere")
        shape.append(size)
        level = [inner for item in level for inner in item]
    if list in set(map(type, level)):
        raise InvalidInput(f"the values of input {shown(spec.name)} are ragged: expecting no lists among its values")
    return tuple(shape), [_text(spec, item) for item in level] if spec.datatype is _BYTES else level


def _text(spec: TensorSpec, value: object) -> object:
    if not isinstance(value, dict):
        return value
    encoded = value.get("b64")
    if value.keys() != {"b64"} or not isinstance(encoded, str):
        raise InvalidInput(f'the input {shown(spec.name)} holds an object; bytes are written {{"b64": "…"}}')
    try:
        return text_of(spec.name, base64.b64decode(encoded, validate=True))
    except ValueError as error:  # binascii's own, or another one for letters beyond ASCII
        raise InvalidInput(f"the input {shown(spec.name)} holds invalid base64: {shown(encoded)}") from error


def _check_outputs(schema: ModelSchema) -> None:
    for spec in schema.outputs:
        if spec.datatype.wire in RAW_ONLY:
            raise InvalidInput(
                f"the output {shown(spec.name)} is {spec.datatype.wire}, which JSON does not carry; use /v2 with binary_data"
            )


def _by_row(response: InferenceResponse) -> Encoded:
    outputs = response.outputs
    if len(outputs) == 1 and outputs[0].array.ndim:
        return Encoded([orjson.dumps({"predictions": _nested(outputs[0])})])
    counts = {tensor.array.shape[0] if tensor.array.ndim else -1 for tensor in outputs}
    if len(counts) != 1 or -1 in counts:
        raise InvalidInput("the outputs have an inconsistent batch size; use the column format 'inputs'")
    rows = [{t.name: _nested(_row(t, i)) for t in outputs} for i in range(counts.pop())]
    return Encoded([orjson.dumps({"predictions": rows})])


def _by_column(response: InferenceResponse) -> Encoded:
    if len(response.outputs) == 1:
        return Encoded([orjson.dumps({"outputs": _nested(response.outputs[0])})])
    return Encoded([orjson.dumps({"outputs": {tensor.name: _nested(tensor) for tensor in response.outputs}})])


def _row(tensor: Tensor, index: int) -> Tensor:
    return replace(tensor, array=np.asarray(tensor.array[index], dtype=tensor.array.dtype))


def _nested(tensor: Tensor) -> orjson.Fragment:
    if tensor.datatype is _BYTES and tensor.name.endswith("_bytes"):
        return orjson.Fragment(orjson.dumps(_b64(tensor.array)))
    return orjson.Fragment(json_of(tensor.array, nested=True))


def _b64(array: Array) -> Any:  # noqa: ANN401 - nested like the array
    if array.ndim:
        return [_b64(np.asarray(item, dtype=object)) for item in array]
    return {"b64": base64.b64encode(str(array.item()).encode()).decode()}
