"""Records as a batch of Arrow's, which holds every value exactly: the columns of Parquet files.

The model and its version are not among them: they stand in the names of folders, and pandas refuses what says so twice.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import Final, get_type_hints

import numpy as np
import pyarrow as pa

from penstock.domain.records import SCHEMA_VERSION, PayloadRecord
from penstock.domain.tensor import Array, Tensor
from penstock.payloads.json_cells import bytes_of

RAW: Final = "raw"
TEXT: Final = "text"
VALUES: Final[dict[str, pa.DataType]] = {
    "bool": pa.bool_(),
    "int": pa.int32(),
    "int64": pa.int64(),
    "uint": pa.uint32(),
    "uint64": pa.uint64(),
    "fp32": pa.float32(),
    "fp64": pa.float64(),
    TEXT: pa.string(),
}
"""The fields of a cell that hold elements as a list, named like those of the protocol's `InferTensorContents`."""
FIELD_OF: Final = {
    "BOOL": "bool",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int"),
    "INT64": "int64",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint"),
    "UINT64": "uint64",
    "FP32": "fp32",
    "FP64": "fp64",
}
"""Where elements stand, by datatype: text, and whatever no list holds exactly, are not here."""
_CELL: Final = [
    pa.field("name", pa.string()),
    pa.field("datatype", pa.string()),
    pa.field("shape", pa.list_(pa.int64())),
    *(pa.field(name, pa.list_(kind)) for name, kind in VALUES.items()),
    pa.field(RAW, pa.binary()),
]
_CELLS: Final = pa.list_(pa.struct(_CELL))
_KINDS: Final = {str: pa.string(), int: pa.int64(), float: pa.float64()}
_FIELDS: Final = {name: _KINDS[kind] for name, kind in get_type_hints(PayloadRecord).items() if kind in _KINDS}
_PLAIN: Final[dict[str, pa.DataType]] = {
    "timestamp" if name == "timestamp_us" else name: pa.timestamp("us", "UTC") if name == "timestamp_us" else kind
    for name, kind in _FIELDS.items()
    if name not in {"model", "version"}
}
_METADATA: Final = pa.map_(pa.string(), pa.string())
SCHEMA: Final = pa.schema(
    [("schema_version", pa.int32()), *_PLAIN.items(), ("inputs", _CELLS), ("outputs", _CELLS), ("metadata", _METADATA)]
)
_PLACES: Final = {name: PayloadRecord._fields.index(name if name != "timestamp" else "timestamp_us") for name in _PLAIN}
_INPUTS, _OUTPUTS, _HEADERS = (PayloadRecord._fields.index(name) for name in ("inputs", "outputs", "metadata"))
_NOTHING: Final[Array] = np.empty(0)


def batch_of(records: Sequence[PayloadRecord]) -> pa.RecordBatch:
    """Return records of one model and version as a batch; raises ValueError for text that is no UTF-8."""
    columns = list(zip(*records, strict=True))
    plain = [pa.array(columns[_PLACES[name]], kind) for name, kind in _PLAIN.items()]
    versions = pa.array(np.full(len(records), SCHEMA_VERSION, np.int32))
    cells = [_cells(columns[place]) for place in (_INPUTS, _OUTPUTS)]
    headers = pa.array([list(each.items()) for each in columns[_HEADERS]], _METADATA)
    return pa.RecordBatch.from_arrays([versions, *plain, *cells, headers], schema=SCHEMA)


def _cells(rows: Sequence[Sequence[Tensor]]) -> pa.Array:
    tensors = list(chain.from_iterable(rows))
    names, wires = [tensor.name for tensor in tensors], [tensor.datatype.wire for tensor in tensors]
    arrays = [tensor.array for tensor in tensors]
    fields = [FIELD_OF.get(wire) or _field_of(array) for wire, array in zip(wires, arrays, strict=True)]
    there = set(fields)
    columns = [
        pa.array(names, pa.string()),
        pa.array(wires, pa.string()),
        _lists([array.shape for array in arrays], pa.int64()),
        *(
            _values(name, kind, fields, arrays) if name in there else pa.nulls(len(tensors), pa.list_(kind))
            for name, kind in VALUES.items()
        ),
        pa.array([bytes_of(array) if field == RAW else None for field, array in zip(fields, arrays, strict=True)], pa.binary()),
    ]
    return pa.ListArray.from_arrays(_offsets(map(len, rows)), pa.StructArray.from_arrays(columns, fields=_CELL), type=_CELLS)


def _field_of(array: Array) -> str:
    """Return where elements stand of which the datatype alone does not tell: text, if it is that."""
    if not array.dtype.hasobject:
        return RAW
    try:
        "".join(array.ravel().tolist()).encode()
    except (TypeError, UnicodeEncodeError):
        return RAW
    return TEXT


def _values(name: str, kind: pa.DataType, fields: Sequence[str], arrays: Sequence[Array]) -> pa.Array:
    """Return the elements of the tensors that have this field as lists; null for the others."""
    found = [array.ravel() if field == name else _NOTHING for field, array in zip(fields, arrays, strict=True)]
    mine = [array for field, array in zip(fields, found, strict=True) if field == name]
    flat = list(chain.from_iterable(array.tolist() for array in mine)) if name == TEXT else np.concatenate(mine)
    mask = None if len(mine) == len(fields) else pa.array([field != name for field in fields])
    return pa.ListArray.from_arrays(_offsets(map(len, found)), _flat(flat, kind), type=pa.list_(kind), mask=mask)


def _flat(values: Array | list[str], kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind) if isinstance(values, list) else pa.array(values.astype(kind.to_pandas_dtype(), copy=False), kind)


def _lists(rows: Sequence[Sequence[int]], kind: pa.DataType) -> pa.Array:
    return pa.ListArray.from_arrays(_offsets(map(len, rows)), pa.array(list(chain.from_iterable(rows)), kind), type=pa.list_(kind))


def _offsets(lengths: Iterable[int]) -> pa.Array:
    return pa.array(list(accumulate(lengths, initial=0)), pa.int32())
