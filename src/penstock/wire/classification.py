"""The classification extension: the k largest values of an output as text (Triton, `extension_classification`)."""

from typing import Final

import numpy as np

from penstock.domain.errors import InvalidInput
from penstock.domain.names import shown
from penstock.domain.tensor import DATATYPES, Array, Tensor, TensorSpec, element_count

_REFUSED: Final = frozenset({"FP16", "BF16", "BYTES"})
_MOST_ELEMENTS: Final = 1_000_000


def check_classification(spec: TensorSpec, k: int) -> None:
    """Raise `InvalidInput` if k classes are asked of an output whose datatype has none; call it before the run."""
    if k and spec.datatype.wire in _REFUSED:
        raise InvalidInput(
            f"classification of output {shown(spec.name)} is not possible for datatype {spec.datatype.wire}; ask for the output itself"
        )


def classify(tensor: Tensor, k: int, labels: tuple[str, ...], *, batched: bool) -> Tensor:
    """Return a BYTES tensor of `value:index[:label]`, highest first, of shape [batch, min(k, n)] or, without a batch, [min(k, n)].

    Equal values stand in the order of their index, NaN comes last. Raises `InvalidInput` for datatypes without classes and for an
    output of more than a million elements.
    """
    shape = tensor.array.shape
    check_classification(TensorSpec(tensor.name, tensor.datatype, shape), k)
    if tensor.array.size > _MOST_ELEMENTS:
        raise InvalidInput(
            f"the output {shown(tensor.name)} has {tensor.array.size} elements; classification takes at most {_MOST_ELEMENTS}"
        )
    rows = tensor.array.reshape((shape[0], element_count(shape[1:])) if batched else (1, -1))
    top = np.argsort(_falling(rows), axis=1, kind="stable")[:, :k]
    texts = np.empty(top.shape, dtype=object)
    for place, index in np.ndenumerate(top):
        texts[place] = _text(rows[place[0]], int(index), labels)
    return Tensor(tensor.name, DATATYPES["BYTES"], texts if batched else texts[0])


def _falling(rows: Array) -> Array:
    """Return keys in the opposite order, exact for every datatype: the complement of an integer never overflows."""
    return np.negative(rows) if rows.dtype.kind == "f" else np.invert(rows)


def _text(row: Array, index: int, labels: tuple[str, ...]) -> str:
    value = f"{row[index]:f}" if row.dtype.kind == "f" else str(int(row[index]))
    return f"{value}:{index}:{labels[index]}" if index < len(labels) else f"{value}:{index}"
