"""Models that exist only as what they take and give, and the answers that they would give: what came in goes out."""

from typing import Final

import numpy as np

from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array, Tensor, TensorSpec


def _identity(wire: str, shape: tuple[int, ...], *, batched: bool) -> ModelSchema:
    datatype = DATATYPES[wire]
    labels = ("cat", "dog") if wire == "FP32" else ()
    return ModelSchema((TensorSpec("X", datatype, shape),), (TensorSpec("Y", datatype, shape, labels=labels),), batched)


_PAIR: Final = tuple(TensorSpec(name, DATATYPES["INT32"], (-1, 2)) for name in ("A", "B"))
_MIXED: Final = (
    TensorSpec("floats", DATATYPES["FP32"], (-1, 2)),
    TensorSpec("texts", DATATYPES["BYTES"], (-1, 1)),
    TensorSpec("mask", DATATYPES["BOOL"], (-1, 1), optional=True),
)
SCHEMAS: Final = (
    *(_identity(wire, (-1, -1), batched=True) for wire in DATATYPES),
    _identity("FP32", (), batched=False),
    _identity("FP32", (-1,), batched=False),
    _identity("INT64", (2, -1), batched=False),
    ModelSchema(_PAIR, _PAIR, batched=True, max_batch_rows=8),
    ModelSchema(_MIXED, _MIXED, batched=True),
)
"""One of each kind; the first byte of a case chooses."""
_VERSION: Final = ModelVersion("m", "1")


def schema_for(byte: int) -> ModelSchema:
    """Return the schema that a byte chooses."""
    return SCHEMAS[byte % len(SCHEMAS)]


def request() -> InferenceRequest:
    """Return a request that has arrived and has not been read."""
    return InferenceRequest("http", "m", "", [], request_id="r", arrived_ns=1)


def answer(question: InferenceRequest, schema: ModelSchema) -> InferenceResponse:
    """Return what a model of the schema answers: its inputs where they have the datatypes of its outputs, zeros elsewhere."""
    names = question.outputs or schema.output_names
    outputs = [_output(question, schema.output_named[name]) for name in names]
    return InferenceResponse(_VERSION, outputs, "r", question.client_id)


def _output(question: InferenceRequest, spec: TensorSpec) -> Tensor:
    same = [tensor.array for tensor in question.inputs if tensor.datatype is spec.datatype and tensor.array.ndim == len(spec.shape)]
    return Tensor(spec.name, spec.datatype, same[0] if same else _zeros(spec))


def _zeros(spec: TensorSpec) -> Array:
    shape = tuple(1 if dim == -1 else dim for dim in spec.shape)
    array = np.zeros(shape, spec.datatype.dtype)
    if spec.datatype.wire == "BYTES":
        array.fill("")
    return array


def told(tensors: list[Tensor]) -> list[tuple[str, str, tuple[int, ...], bytes]]:
    """Return all there is to compare of tensors, NaNs included."""
    return [(tensor.name, tensor.datatype.wire, tensor.array.shape, _bits(tensor.array)) for tensor in tensors]


def _bits(array: Array) -> bytes:
    flat = array.ravel()  # the shape is told apart, and nested, no elements at all may be millions of lists
    return repr(flat.tolist()).encode("utf-8", "surrogatepass") if array.dtype.hasobject else flat.tobytes()
