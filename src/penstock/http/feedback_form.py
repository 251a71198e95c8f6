"""Feedback as callers write it: one word, a list of words, or lines of words; truths as tensors of the protocol, or short."""

import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from penstock.domain.errors import InvalidInput
from penstock.domain.names import check_request_id, shown
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, RAW_ONLY, Datatype, Tensor, TensorSpec, element_count
from penstock.http.json_data import array_of_json
from penstock.http.json_text import MAX_DEPTH, kind_of
from penstock.monitoring.word import Word
from penstock.wire.raw import MAX_TENSORS, check_shape, datatype_named

_LARGEST: Final = sys.float_info.max
_KEYS: Final = ("id", "outputs", "reward")
_LONGEST_GUESS: Final = 64
"""Letters of an unknown key that are compared with the known ones: that takes time for each of them."""
_TENSOR: Final = frozenset({"name", "datatype", "shape", "data"})


class Said(NamedTuple):
    """A word whose truth has not been held against a model's outputs yet."""

    request_id: str
    outputs: Any
    """As in the body; None where there is a reward."""
    reward: float | None


def said(document: object) -> Said:
    """Return what a JSON value says; raises `InvalidInput` for what is no word of feedback."""
    if not isinstance(document, dict):
        raise InvalidInput(f'a word of feedback is a JSON {kind_of(document)}; send {{"id": request id, "outputs": …}}, or with "reward"')
    for key in sorted(document.keys() - set(_KEYS)):
        near = get_close_matches(key[:_LONGEST_GUESS], _KEYS, 1, 0)[0]
        raise InvalidInput(f"unknown key {shown(key)} in feedback; did you mean {near!r}?")
    request_id = document.get("id")
    if not isinstance(request_id, str) or not request_id:
        raise InvalidInput(f"the id of feedback is {shown(repr(request_id))}; send the x-request-id of the answer, a text")
    if ("outputs" in document) == ("reward" in document):
        both = "both" if "outputs" in document else "neither"
        raise InvalidInput(f"the feedback on {shown(request_id)} holds {both} 'outputs' and 'reward'; send one of them")
    return Said(check_request_id(request_id, "the id of feedback"), document.get("outputs"), _reward(document))


def word_of(one: Said, schemas: Sequence[ModelSchema]) -> Word:
    """Return the word, its truth read by the first of the schemas that has all of its outputs; raises `InvalidInput`."""
    if one.reward is not None:
        return Word(one.request_id, (), one.reward)
    is_short = isinstance(one.outputs, dict)
    if not is_short and not (isinstance(one.outputs, list) and all(isinstance(entry, dict) for entry in one.outputs)):
        raise InvalidInput(f'the outputs of feedback are a JSON {kind_of(one.outputs)}; send a list of tensors, or {{"name": values}}')
    names = list(one.outputs) if is_short else [entry.get("name") for entry in one.outputs]
    if not 0 < len(names) <= MAX_TENSORS:
        raise InvalidInput(f"the feedback on {shown(one.request_id)} holds {len(names)} outputs; send from 1 to {MAX_TENSORS}")
    schema = next(
        (schema for schema in schemas if all(isinstance(name, str) and name in schema.output_named for name in names)), schemas[0]
    )
    truth = (_short if is_short else _tensors)(one.outputs, schema)
    if empty := [tensor.name for tensor in truth if not tensor.array.size]:
        raise InvalidInput(f"the truth of {shown(empty[0])} holds no values; send one for each row")
    return Word(one.request_id, truth, outputs=schema.outputs)


def _reward(document: Mapping[str, Any]) -> float | None:
    if "reward" not in document:
        return None
    reward = document["reward"]
    if type(reward) not in (int, float) or not -_LARGEST <= reward <= _LARGEST:
        raise InvalidInput(f"the reward is {shown(repr(reward))}; send a number that a double holds")
    return float(reward)


def _tensors(entries: Sequence[Mapping[str, Any]], schema: ModelSchema) -> tuple[Tensor, ...]:
    names = [entry.get("name") for entry in entries]
    for entry in entries:
        if missing := _TENSOR - entry.keys():
            raise InvalidInput(f"an output of feedback lacks {', '.join(map(repr, sorted(missing)))}; send name, datatype, shape and data")
        if names.count(entry["name"]) > 1:
            raise InvalidInput(f"the output {shown(str(entry['name']))} already exists in the feedback; give it once")
    return tuple(_tensor(entry, _spec(entry["name"], schema)) for entry in entries)


def _tensor(entry: Mapping[str, Any], spec: TensorSpec) -> Tensor:
    datatype, shape = datatype_named(entry["datatype"], spec.name), check_shape(entry["shape"], spec.name)
    if datatype is not _datatype(spec):
        raise InvalidInput(f"the output {shown(spec.name)} has datatype {datatype.wire}, but its truth is {_datatype(spec).wire}")
    if not spec.fits(shape):
        raise _misfit(spec, shape)
    return Tensor(spec.name, datatype, array_of_json(spec.name, datatype, shape, entry["data"], "output"))


def _short(values: Mapping[str, Any], schema: ModelSchema) -> tuple[Tensor, ...]:
    return tuple(_short_tensor(_spec(name, schema), value) for name, value in values.items())


def _short_tensor(spec: TensorSpec, value: Any) -> Tensor:  # noqa: ANN401 - what JSON may hold
    """Return the truth of an output without its datatype and shape, which the model declares.

    A value alone is that of the only row. A flat list of whole numbers for an output of several scores a row names the right classes.
    """
    data, given = value if isinstance(value, list) else [value], _shape(value)
    if len(given) <= 1 and len(spec.shape) == 2 and spec.shape[1] != 1 and all(type(item) is int for item in data):  # noqa: PLR2004
        return Tensor(spec.name, DATATYPES["INT64"], array_of_json(spec.name, DATATYPES["INT64"], (len(data),), data, "output"))
    shape = given if spec.fits(given) else _rows_of(spec, given)
    return Tensor(spec.name, _datatype(spec), array_of_json(spec.name, _datatype(spec), shape, data, "output"))


def _shape(value: object) -> tuple[int, ...]:
    """Return the shape of nested lists by their first elements; that all others are alike their number has to prove."""
    shape: list[int] = []
    while isinstance(value, list) and len(shape) <= MAX_DEPTH:
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _rows_of(spec: TensorSpec, given: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a flat list, or of one value: as many rows as it has values for."""
    row, count = spec.shape[1:], element_count(given)
    if len(given) > 1 or -1 in row or (each := element_count(row)) == 0 or count % each:
        raise _misfit(spec, given)
    shape = (count // each, *row) if spec.shape else ()
    if not spec.fits(shape):
        raise _misfit(spec, given)
    return shape


def _spec(name: object, schema: ModelSchema) -> TensorSpec:
    spec = schema.output_named.get(name) if isinstance(name, str) else None
    if spec is None:
        given = ", ".join(f"{spec.name} {spec.datatype.wire}{list(spec.shape)}" for spec in schema.outputs)
        raise InvalidInput(f"unknown output {shown(str(name))} in feedback; the model gives {given}")
    return spec


def _datatype(spec: TensorSpec) -> Datatype:
    """Return the datatype of an output's truth: its own, or FP32 for what JSON does not carry."""
    return DATATYPES["FP32"] if spec.datatype.wire in RAW_ONLY else spec.datatype


def _misfit(spec: TensorSpec, shape: tuple[int, ...]) -> InvalidInput:
    return InvalidInput(f"unexpected shape for the truth of {shown(spec.name)}: received {list(shape)}, the model gives {list(spec.shape)}")
