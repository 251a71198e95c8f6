"""What requests carry: random tensors that fit a schema, or those of a file."""

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from penstock.bench.bodies import body_of, http_message
from penstock.bench.plan import CannotMeasure, Payload, Protocol, Target
from penstock.bench.schema import inputs_of
from penstock.domain.errors import InvalidInput
from penstock.domain.tensor import Array, Datatype, Tensor, TensorSpec
from penstock.wire.raw import array_of, datatype_named

_VARIANTS: Final = 16
_MOST_BYTES: Final = 16 << 20
_LARGEST_INTEGER: Final = 10
_WORDS: Final = ("gate", "inflow", "penstock", "pressure", "reservoir", "rotor", "spillway", "turbine")


def bodies_of(target: Target, payload: Payload) -> tuple[bytes, ...]:
    """Return the requests of a run, which are sent in turn. Raises `CannotMeasure` if there can be none.

    Asks the server for the model's schema, and so finds out whether it listens and has the model.
    """
    inputs = inputs_of(target)
    if payload.file is not None:
        if bodies := tuple(_from_file(target, inputs, Path(payload.file))):
            return bodies
        raise CannotMeasure(f"the payload {payload.file} holds no request")
    return tuple(_random_bodies(target, inputs, payload))


def _random_bodies(target: Target, inputs: Sequence[TensorSpec], payload: Payload) -> Iterator[bytes]:
    """Yield several bodies, so that no cache knows them all; fewer if they are large."""
    unknown = set(payload.shapes) - {spec.name for spec in inputs}
    if unknown:
        raise CannotMeasure(f"the model {target.model!r} has no input {min(unknown)!r}; it has {', '.join(spec.name for spec in inputs)}")
    generator, size = np.random.default_rng(payload.seed), 0
    shapes = [shape_of(spec, payload) for spec in inputs]
    for _ in range(_VARIANTS):
        tensors = [
            Tensor(spec.name, spec.datatype, random_array(spec.datatype, shape, generator))
            for spec, shape in zip(inputs, shapes, strict=True)
        ]
        yield (body := body_of(target, tensors))
        size += len(body)
        if size > _MOST_BYTES:
            return


def shape_of(spec: TensorSpec, payload: Payload) -> tuple[int, ...]:
    """Return the shape in which an input is sent, or raise `CannotMeasure` if some dimension is not known."""
    given = payload.shapes.get(spec.name)
    if given is not None:
        return _fitting(spec, given)
    shape = (payload.rows, *spec.shape[1:]) if spec.shape[:1] == (-1,) else spec.shape
    if -1 in shape:
        raise CannotMeasure(
            f"input {spec.name!r} has the shape {list(spec.shape)}; say what is free in it with --shape {spec.name}=D1,D2,..."
        )
    return shape


def _fitting(spec: TensorSpec, shape: tuple[int, ...]) -> tuple[int, ...]:
    fits = len(shape) == len(spec.shape) and all(declared in (-1, dim) for declared, dim in zip(spec.shape, shape, strict=True))
    if not fits:
        raise CannotMeasure(f"the shape {list(shape)} does not fit input {spec.name!r}, which is declared as {list(spec.shape)}")
    return shape


def random_array(datatype: Datatype, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Return normal floats, integers of 0 to 9 (which are in every vocabulary), coin tosses or words."""
    match datatype.wire:
        case "BF16":
            # The upper half of an FP32 is the BF16 next to it.
            return (generator.normal(size=shape).astype("<f4").view("<u4") >> 16).astype("<u2")
        case "FP16" | "FP32" | "FP64":
            return generator.normal(size=shape).astype(datatype.dtype)
        case "BOOL":
            return generator.integers(0, 2, shape).astype(datatype.dtype)
        case "BYTES":
            return generator.choice(np.array(_WORDS, dtype=object), shape)
        case _:
            return generator.integers(0, _LARGEST_INTEGER, shape).astype(datatype.dtype)


def _from_file(target: Target, inputs: Sequence[TensorSpec], path: Path) -> Iterator[bytes]:
    try:
        documents = _documents(path.read_bytes())
        for document in documents:
            yield from _bodies_of_document(target, inputs, document)
    except OSError as error:
        raise CannotMeasure(f"the payload cannot be read: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, InvalidInput) as error:
        raise CannotMeasure(f"the payload {path} does not fit: {type(error).__name__}: {error}") from error


def _documents(content: bytes) -> list[dict[str, Any]]:
    """Return what a file holds: one JSON object, or one on each line."""
    try:
        return [orjson.loads(content)]
    except orjson.JSONDecodeError:
        lines = [line for line in content.splitlines() if line.strip()]
        if not lines or not lines[0].rstrip().endswith(b"}"):
            raise
        return [orjson.loads(line) for line in lines]


def _bodies_of_document(target: Target, inputs: Sequence[TensorSpec], document: Mapping[str, Any]) -> Iterator[bytes]:
    if "data" in document:
        yield from (body_of(target, tensors) for tensors in _real_data(inputs, document["data"]))
    elif target.protocol is Protocol.HTTP_JSON:
        # As it stands: it may hold parameters and outputs, and mistakes that are there on purpose.
        yield http_message(target, orjson.dumps(document))
    else:
        yield body_of(target, [_tensor(one["name"], one["datatype"], tuple(one["shape"]), one["data"]) for one in document["inputs"]])


def _real_data(inputs: Sequence[TensorSpec], items: Sequence[Any]) -> Iterator[list[Tensor]]:
    """Yield the requests of perf_analyzer's file of real data: `{"data": [{"INPUT": [values] or {"content", "shape"}}]}`."""
    steps = (step for item in items for step in (item if isinstance(item, list) else [item]))
    for step in steps:
        yield [_real_tensor(spec, step[spec.name]) for spec in inputs]


def _real_tensor(spec: TensorSpec, value: Any) -> Tensor:  # noqa: ANN401 - JSON
    """Return a tensor of that file, whose shapes leave the rows out."""
    content = value.get("content", value) if isinstance(value, dict) else value
    shape = tuple(value["shape"]) if isinstance(value, dict) and "shape" in value else spec.shape
    if len(shape) == len(spec.shape) - 1:
        shape = (1, *shape)
    return _tensor(spec.name, spec.datatype.wire, shape, content)


def _tensor(name: str, wire: str, shape: tuple[int, ...], data: Any) -> Tensor:  # noqa: ANN401 - JSON
    datatype = datatype_named(wire, name)
    if isinstance(data, dict):
        raw = base64.b64decode(data["b64"], validate=True)
        return Tensor(name, datatype, array_of(name, datatype, _closed(shape, len(raw) // max(1, datatype.itemsize)), raw))
    return Tensor(name, datatype, np.array(data, dtype=datatype.dtype).reshape(shape))


def _closed(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Return the shape with its one free dimension filled, as `reshape` does."""
    return tuple(count // math.prod(other for other in shape if other != -1) if dim == -1 else dim for dim in shape)
