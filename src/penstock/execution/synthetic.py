"""Gentle inputs for probing and warming a model: nothing that a sane model should choke on."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array, Datatype, TensorSpec

_WORDS = np.array(["one", "two", "three", "four"], dtype=object)


PADDED_LENGTH: Final = 16
"""The length of inputs that may be padded, where it does not matter."""


def synthetic_inputs(schema: ModelSchema, rows: int, seed: int = 0, length: int = PADDED_LENGTH) -> Mapping[str, Array]:
    """Return seeded inputs with that many rows: integers 0 or 1, floats normal, short texts, masks of ones.

    Padded dimensions have the length, other free ones 1.
    """
    random, padding = np.random.default_rng(seed), schema.padding
    axes = {rule.name: rule.axis for rule in padding.rules} if padding else {}
    first = rows if schema.batched else 1
    specs = [spec for spec in schema.inputs if not spec.optional]
    inputs = {spec.name: _values(spec.datatype, _shape(spec, {0: first, axes.get(spec.name): length}), random) for spec in specs}
    return padding.completed(inputs) if padding else inputs


def _shape(spec: TensorSpec, free: Mapping[int | None, int]) -> tuple[int, ...]:
    """Return a shape that fits; `free` has the sizes of free dimensions, 1 where it says nothing."""
    return tuple(free.get(axis, 1) if dim == -1 else dim for axis, dim in enumerate(spec.shape))


def _values(datatype: Datatype, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    if datatype is DATATYPES["BYTES"]:
        return random.choice(_WORDS, size=shape) if shape else np.array("one", dtype=object)
    if datatype is DATATYPES["BF16"]:
        return (np.asarray(random.standard_normal(shape, dtype=np.float32)).view(np.uint32) >> 16).astype(np.uint16)
    if datatype.dtype.kind == "f":
        return np.asarray(random.standard_normal(shape)).astype(datatype.dtype)
    return np.asarray(random.integers(0, 2, shape)).astype(datatype.dtype)
