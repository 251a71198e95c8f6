"""One tensor of each datatype, with any bits that it can have."""

import numpy as np

from penstock.domain.tensor import DATATYPES, Tensor

_RANDOM = np.random.default_rng(3)
BY_WIRE = {
    wire: np.frombuffer(_RANDOM.bytes(datatype.itemsize * 6000), datatype.dtype).reshape(2, -1)
    for wire, datatype in DATATYPES.items()
    if wire not in {"BYTES", "BOOL"}
} | {"BOOL": np.array([True, False, True]), "BYTES": np.array(["", "ä\n\"'", "null", "\u2028"], dtype=object)}


def tensors():
    """Yield one tensor of each datatype, and those that are no text, empty, or of no rank."""
    for wire, array in BY_WIRE.items():
        yield Tensor(wire, DATATYPES[wire], array)
    yield Tensor("no text", DATATYPES["BYTES"], np.array(["plain", b"\xff\xfe"], dtype=object))
    yield Tensor("surrogate", DATATYPES["BYTES"], np.array(["\ud800"], dtype=object))
    yield Tensor("empty", DATATYPES["INT64"], np.empty((0, 3), np.int64))
    yield Tensor("scalar", DATATYPES["FP64"], np.array(0.1))
    yield Tensor("strided", DATATYPES["FP32"], np.arange(12, dtype=np.float32).reshape(3, 4).T)


def same(found, sent):
    """Tell whether an array is what was sent, bit by bit."""
    if not sent.dtype.hasobject:
        return (found.dtype, found.shape, found.tobytes()) == (sent.dtype, sent.shape, sent.tobytes())
    plain = [item.encode("utf-8", "surrogatepass") if item == "\ud800" else item for item in sent.ravel().tolist()]
    return (found.shape, found.ravel().tolist()) == (sent.shape, plain)
