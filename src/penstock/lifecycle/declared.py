"""What config.pbtxt declares of a model, held against its graph."""

from collections.abc import Mapping
from dataclasses import replace

from penstock.domain.errors import LoadRefused
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import TensorSpec
from penstock.registry.triton import DeclaredTensor, TritonSettings


def apply_declared(schema: ModelSchema, triton: TritonSettings | None) -> ModelSchema:
    """Return the schema with declared fixed dimensions and labels; raises `LoadRefused` where a declaration contradicts the graph."""
    if triton is None:
        return schema
    inputs = _merge(schema.inputs, triton.inputs, schema, "input")
    outputs = _merge(schema.outputs, triton.outputs, schema, "output")
    return replace(schema, inputs=inputs, outputs=outputs)


def _merge(specs: tuple[TensorSpec, ...], declared: tuple[DeclaredTensor, ...], schema: ModelSchema, what: str) -> tuple[TensorSpec, ...]:
    by_name: Mapping[str, DeclaredTensor] = {tensor.name: tensor for tensor in declared}
    known = {spec.name for spec in specs}
    for name in by_name:
        if name not in known:
            raise LoadRefused(f"config.pbtxt declares the {what} {name!r}, the graph has: {', '.join(sorted(known))}")
    return tuple(_merged(spec, by_name[spec.name], schema, what) if spec.name in by_name else spec for spec in specs)


def _merged(spec: TensorSpec, declared: DeclaredTensor, schema: ModelSchema, what: str) -> TensorSpec:
    if declared.datatype != spec.datatype.wire:
        raise LoadRefused(f"config.pbtxt declares {what} {spec.name!r} as {declared.datatype}, the graph has {spec.datatype.wire}")
    dims = declared.dims if declared.reshape is None else declared.reshape
    shape = (-1, *dims) if schema.batched else tuple(dims)
    if len(shape) != len(spec.shape) or any(-1 not in pair and pair[0] != pair[1] for pair in zip(shape, spec.shape, strict=True)):
        raise LoadRefused(f"config.pbtxt declares {what} {spec.name!r} with shape {list(shape)}, the graph has {list(spec.shape)}")
    fixed = tuple(max(pair) for pair in zip(shape, spec.shape, strict=True))
    return replace(spec, shape=fixed, labels=declared.labels, optional=spec.optional)
