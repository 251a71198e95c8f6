"""What `pad` declares of a model, held against its graph."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NoReturn

import numpy as np

from penstock.domain.errors import LoadRefused
from penstock.domain.padding import Mask, Padding, PadRule
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array, Datatype, TensorSpec
from penstock.lifecycle.options import PadOptions

_BF16: Final = DATATYPES["BF16"]
_BYTES: Final = DATATYPES["BYTES"]


def apply_padding(schema: ModelSchema, declared: Mapping[str, PadOptions]) -> ModelSchema:
    """Return the schema with its padding, unproven yet; a mask need not be given any more.

    Raises `LoadRefused` where a declaration contradicts the graph.
    """
    if not declared:
        return schema
    if not schema.batched:
        raise LoadRefused(f"pad is declared, but rows of this model are not run together ({'; '.join(schema.notes)})")
    rules = [_rule(_input(schema, name, "pad"), options) for name, options in declared.items()]
    masks = list({options.mask: _mask(schema, rule, declared) for rule, options in _masked(rules, declared)}.values())
    named = {mask.name for mask in masks}
    inputs = tuple(replace(spec, optional=spec.optional or spec.name in named) for spec in schema.inputs)
    return replace(schema, inputs=inputs, padding=Padding((*rules, *map(_rule_of_mask, masks)), tuple(masks)))


def _masked(rules: list[PadRule], declared: Mapping[str, PadOptions]) -> list[tuple[PadRule, PadOptions]]:
    """Return the rules that name a mask; of several that name the same one the first comes last, so that it wins."""
    return [(rule, declared[rule.name]) for rule in reversed(rules) if declared[rule.name].mask]


def _input(schema: ModelSchema, name: str, where: str) -> TensorSpec:
    if name not in schema.input_named:
        raise LoadRefused(f"{where} names the input {name!r}; the graph has: {', '.join(schema.input_named)}")
    return schema.input_named[name]


def _rule(spec: TensorSpec, options: PadOptions) -> PadRule:
    shape = list(spec.shape)
    if not 1 <= options.axis < len(shape):
        raise LoadRefused(f"pad.{spec.name}.axis is {options.axis}; the input has shape {shape}, so it must be from 1 to {len(shape) - 1}")
    if shape[options.axis] != -1:
        raise LoadRefused(f"pad.{spec.name}.axis is {options.axis}, but that dimension is fixed: the input has shape {shape}")
    return PadRule(spec.name, options.axis, _value(spec, options.value))


def _mask(schema: ModelSchema, source: PadRule, declared: Mapping[str, PadOptions]) -> Mask:
    name = declared[source.name].mask or ""
    spec = _input(schema, name, f"pad.{source.name}.mask")
    if name in declared:
        raise LoadRefused(
            f"pad.{source.name}.mask names {name!r}, which pad declares too; a mask is always padded with 0, so leave that out"
        )
    if spec.datatype is _BYTES:
        raise LoadRefused(f"pad.{source.name}.mask names {name!r}, which holds text; a mask holds numbers or booleans")
    free = [axis for axis, size in enumerate(spec.shape) if axis and size == -1]
    if len(free) != 1:
        raise LoadRefused(
            f"pad.{source.name}.mask names {name!r} of shape {list(spec.shape)}; a mask has one variable dimension beside the batch"
        )
    return Mask(name, free[0], spec.shape, _number(spec.datatype, 1), source)


def _rule_of_mask(mask: Mask) -> PadRule:
    return PadRule(mask.name, mask.axis, np.zeros_like(mask.one))


def _value(spec: TensorSpec, value: bool | float | str) -> Array:
    """Return a declared value in the datatype of the input, or refuse one that it cannot hold."""
    datatype = spec.datatype
    if (datatype is _BYTES) != isinstance(value, str):
        _refuse(spec, value, "text" if datatype is _BYTES else "a number")
    if isinstance(value, str):
        return np.array(value, dtype=object)
    if not _holds(datatype, value):
        _refuse(spec, value, "a value of that datatype")
    return _number(datatype, value)


def _holds(datatype: Datatype, value: float) -> bool:
    kind = datatype.dtype.kind
    if kind == "b":
        return value in (0, 1)
    if kind == "f" or datatype is _BF16:
        return not isinstance(value, bool) and (not np.isfinite(value) or abs(value) <= _largest(datatype))
    bounds = np.iinfo(datatype.dtype)
    return type(value) is int and bounds.min <= value <= bounds.max


def _largest(datatype: Datatype) -> float:
    return float(np.finfo(np.float32 if datatype is _BF16 else datatype.dtype).max)


def _number(datatype: Datatype, value: float) -> Array:
    if datatype is _BF16:
        return (np.array(value, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return np.array(value, datatype.dtype)


def _refuse(spec: TensorSpec, value: object, what: str) -> NoReturn:
    raise LoadRefused(f"pad.{spec.name}.value is {value!r}; the input has datatype {spec.datatype.wire}, so it must be {what}")
