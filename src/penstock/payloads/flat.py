"""Rows as tables have them: one column for each feature."""

import base64
from collections.abc import Iterator
from typing import Any, Final

from penstock.domain.tensor import DATATYPES, Array
from penstock.payloads.reading import array_of
from penstock.payloads.row import Row
from penstock.traffic.differences import numbers

PLAIN: Final = (
    "request_id",
    "trace_id",
    "timestamp",
    "model",
    "version",
    "digest",
    "alias",
    "route",
    "protocol",
    "status",
    "status_code",
    "error",
    "total_us",
    "queue_us",
    "infer_us",
    "batch_size",
    "client_id",
    "subject",
    "caller",
    "sampling_fraction",
)
"""The columns that are no tensors."""
ROW: Final = "row"
"""The column that tells the rows of one request apart."""
OUTPUT: Final = "prediction."
"""What the columns of outputs begin with."""
_SIDES: Final = (("inputs", ""), ("outputs", OUTPUT))


def flat_rows(row: Row) -> Iterator[dict[str, Any]]:
    """Yield what a prediction's rows are in a table: as many as its tensors agree to have, else one.

    A feature is named by its input, and by its place in the row where it has several: `age`, or `X.0`, `X.1`; those of outputs begin with
    `prediction.`. `row` tells the rows of one request apart. Numbers of datatype BF16 are what their bits say.
    """
    arrays = {_named(f"{prefix}{cell['name']}"): _numbers(cell) for side, prefix in _SIDES for cell in row[side]}
    lengths = {array.shape[0] if array.ndim else None for array in arrays.values()}
    length = lengths.pop() if len(lengths) == 1 else None
    plain = {name: row.get(name, "") for name in PLAIN}  # files of before have no callers
    if length is None:
        yield plain | {ROW: 0} | _features(arrays)
        return
    for index in range(length):
        yield plain | {ROW: index} | _features({name: array[index : index + 1] for name, array in arrays.items()})


def _numbers(cell: Row) -> Array:
    return numbers(array_of(cell), DATATYPES["BF16"]) if cell["datatype"] == "BF16" else array_of(cell)


def _named(name: str) -> str:
    """Return a name that is none of the plain columns'."""
    return f"input.{name}" if name.lower() in (*PLAIN, ROW) else name


def _features(arrays: dict[str, Array]) -> dict[str, Any]:
    features: dict[str, Any] = {}
    for name, array in arrays.items():
        values = array.reshape(-1).tolist()
        if len(values) == 1:
            features[name] = _value(values[0])
        else:
            features |= {f"{name}.{place}": _value(value) for place, value in enumerate(values)}
    return features


def _value(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
