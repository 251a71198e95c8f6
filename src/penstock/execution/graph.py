"""A model's schema as ONNX Runtime reads it from the graph."""

from collections.abc import Sequence
from typing import Any

from penstock.domain.errors import LoadRefused
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPE_OF_ONNX, TensorSpec


def schema_of(session: Any, max_batch_size: int | None) -> ModelSchema:  # noqa: ANN401 - onnxruntime ships no types
    """Return the schema of a loaded session.

    Rows are batched if every input and output has a variable first dimension (Triton's rule for ONNX models), unless the author
    declared a `max_batch_size` of 0. Raises `LoadRefused` if one above 0 is declared for a graph without a batch dimension, or for
    types that the protocol cannot carry.
    """
    required, overridable = _specs(session.get_inputs(), "input"), _specs(session.get_overridable_initializers(), "input")
    inputs = required + tuple(TensorSpec(spec.name, spec.datatype, spec.shape, optional=True) for spec in overridable)
    outputs = _specs(session.get_outputs(), "output")
    able = bool(required) and _has_batch_dimension((*required, *outputs))
    if max_batch_size and not able:
        raise LoadRefused(
            f"config.pbtxt declares max_batch_size {max_batch_size}, but not every input and output of the graph has a variable "
            "first dimension; declare 0 or export the model with a batch dimension"
        )
    batched = able and max_batch_size != 0 and not overridable
    return ModelSchema(inputs, outputs, batched, max_batch_size or None, _notes(able, batched, overridable))


def _specs(nodes: Sequence[Any], what: str) -> tuple[TensorSpec, ...]:
    return tuple(_spec(node, what) for node in nodes)


def _spec(node: Any, what: str) -> TensorSpec:  # noqa: ANN401
    datatype = DATATYPE_OF_ONNX.get(node.type)
    if datatype is None:
        raise LoadRefused(f"the {what} {node.name!r} has type {node.type}, which the protocol cannot carry; export it as a tensor")
    shape = tuple(dim if isinstance(dim, int) and dim >= 0 else -1 for dim in node.shape)
    return TensorSpec(node.name, datatype, shape)


def _has_batch_dimension(specs: Sequence[TensorSpec]) -> bool:
    return bool(specs) and all(spec.shape and spec.shape[0] == -1 for spec in specs)


def _notes(able: bool, batched: bool, overridable: Sequence[TensorSpec]) -> tuple[str, ...]:
    if batched:
        return ()
    if not able:
        return ("served one by one: not every input and output has a variable first dimension",)
    if overridable:
        return ("served one by one: optional inputs have no rows",)
    return ("served one by one: config.pbtxt declares max_batch_size 0",)
