"""A body that is the bytes of one input, without any JSON: Triton's "raw binary request"."""

from math import prod

from penstock.domain.errors import InvalidInput
from penstock.domain.names import shown
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Tensor
from penstock.wire.raw import Buffer, array_of


def raw_input(body: Buffer, schema: ModelSchema) -> Tensor:
    """Return the model's only input, whose bytes the body is; raises `InvalidInput` where they do not fit."""
    if len(schema.inputs) != 1:
        raise InvalidInput(f"a raw binary request is for models that must only have 1 input; this one has {len(schema.inputs)}")
    spec = schema.inputs[0]
    shape = (1, *spec.shape[1:]) if schema.batched else spec.shape
    if spec.datatype.itemsize == 0:
        raise InvalidInput(f"the input {shown(spec.name)} is BYTES; send it with a JSON header")
    free = [axis for axis, dim in enumerate(shape) if dim == -1]
    if len(free) > 1:
        raise InvalidInput(f"the input {shown(spec.name)} has more than one variable-sized dimension: {list(spec.shape)}")
    known = spec.datatype.itemsize * prod(dim for dim in shape if dim != -1)
    if free and (not known or len(body) % known):
        raise InvalidInput(f"{len(body)} bytes do not fill the variable dimension of {list(spec.shape)}")
    shape = tuple(len(body) // known if dim == -1 else dim for dim in shape)
    return Tensor(spec.name, spec.datatype, array_of(spec.name, spec.datatype, shape, body))
