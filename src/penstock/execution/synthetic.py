"""Gentle inputs for probing and warming a model: nothing that a sane model should choke on."""

from collections.abc import Mapping

import numpy as np

from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array, Datatype, TensorSpec

_WORDS = np.array(["one", "two", "three", "four"], dtype=object)


def synthetic_inputs(schema: ModelSchema, rows: int, seed: int = 0) -> Mapping[str, Array]:
    """Return seeded inputs with that many rows: integers 0 or 1, floats normal, short texts, free dimensions 1."""
    random = np.random.default_rng(seed)
    return {spec.name: _array(spec, schema, rows, random) for spec in schema.inputs if not spec.optional}


def _array(spec: TensorSpec, schema: ModelSchema, rows: int, random: np.random.Generator) -> Array:
    shape = tuple(1 if dim == -1 else dim for dim in spec.shape)
    if schema.batched:
        shape = (rows, *shape[1:])
    return _values(spec.datatype, shape, random)


def _values(datatype: Datatype, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    if datatype is DATATYPES["BYTES"]:
        return random.choice(_WORDS, size=shape) if shape else np.array("one", dtype=object)
    if datatype is DATATYPES["BF16"]:
        return (np.asarray(random.standard_normal(shape, dtype=np.float32)).view(np.uint32) >> 16).astype(np.uint16)
    if datatype.dtype.kind == "f":
        return np.asarray(random.standard_normal(shape)).astype(datatype.dtype)
    return np.asarray(random.integers(0, 2, shape)).astype(datatype.dtype)
