"""A sample in a file, column by column: recorded payloads, or a table."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from penstock.cli.models_registry import leave
from penstock.cli.options import USAGE
from penstock.cli.payloads_query import NEEDED
from penstock.domain.errors import BadArtifact
from penstock.domain.names import shown
from penstock.domain.tensor import DATATYPES, Array, Tensor, TensorSpec
from penstock.monitoring.columns import Columns, feature_names, leads
from penstock.payloads.reading import array_of, rows_of
from penstock.payloads.row import UnreadableRow

_PAYLOADS: Final = ".jsonl"
_TABLES: Final = (".parquet", ".csv")
_MOST_ROWS: Final = 10_000
"""Rows that a model is asked for its answers to."""


def columns_in(path: Path, side: str, columns: Columns) -> dict[str, Array]:
    """Return those of the columns of one side, `inputs` or `outputs`, that the file has: numbers as such, texts as objects.

    Raises ValueError or OSError for a file that cannot be read, `BadArtifact` for one of an unknown form.
    """
    return _recorded(path, side, columns) if path.suffix == _PAYLOADS else _table(path, columns)


def inputs_in(path: Path, specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """Return the inputs of a model as it takes them, the first rows of a table; nothing if the file does not have all that it needs.

    Rows that lack a value which the input's datatype cannot do without are left out. Raises as `columns_in` does.
    """
    needed = [spec for spec in specs if not spec.optional]
    if path.suffix == _PAYLOADS or not all(leads(spec) and -1 not in spec.shape[1:] and spec.datatype.wire != "BF16" for spec in needed):
        return {}
    table = _table(path, Columns(needed))
    if any(name not in table for spec in needed for name in feature_names(spec)):
        return {}
    wide = {spec.name: np.column_stack([table[name][:_MOST_ROWS] for name in feature_names(spec)]) for spec in needed}
    whole = np.logical_and.reduce([_is_whole(spec, wide[spec.name]) for spec in needed])
    return {spec.name: wide[spec.name][whole].astype(spec.datatype.dtype).reshape(-1, *spec.shape[1:]) for spec in needed}


def _is_whole(spec: TensorSpec, rows: Array) -> Array:
    """Tell of each row whether it is one that the input can hold; NaN is a number, and "" is a text."""
    if spec.datatype.dtype.kind in "fO":
        return np.ones(len(rows), np.bool_)
    return np.asarray(~np.isnan(rows).any(axis=1))


def _recorded(path: Path, side: str, columns: Columns) -> dict[str, Array]:
    """Return the columns of recorded predictions; those that were not answered have no outputs."""
    try:
        requests = [list(_tensors(row[side], columns)) for row in rows_of(path)]
    except (UnreadableRow, KeyError, TypeError) as error:
        raise ValueError(f"it is no file of recorded payloads: {error}") from error
    block = columns.block(requests)
    return columns.named(block) if block else {}


def _tensors(cells: list[dict[str, Any]], columns: Columns) -> Iterator[Tensor]:
    """Yield the tensors that are as the model has them; what redaction has changed is not."""
    wanted: Mapping[str, TensorSpec] = {spec.name: spec for spec in columns.specs}
    for cell in cells:
        spec, array = wanted.get(cell["name"]), array_of(cell)
        if spec is not None and spec.datatype is DATATYPES.get(cell["datatype"]) and spec.fits(array.shape):
            yield Tensor(spec.name, spec.datatype, array)


def _table(path: Path, columns: Columns) -> dict[str, Array]:
    if path.suffix not in _TABLES:
        raise BadArtifact(f"{path.name} has an unknown form; give a file in .jsonl (recorded payloads), .parquet or .csv")
    try:
        from penstock.payloads import duck  # noqa: PLC0415 - an extra, and slow to import where it is not needed
    except ImportError:
        leave(NEEDED, USAGE)
    try:
        table = duck.read_table(path, columns.names)
    except duck.Error as error:
        raise ValueError(str(error)) from error
    texts = dict(zip(columns.names, columns.is_text, strict=True))
    return {name: _text(column) if texts[name] else _numbers(name, column) for name, column in table.items()}


def _text(column: Array) -> Array:
    values = np.ma.filled(column.astype(object), "").tolist()
    return np.array(["" if value is None else str(value) for value in values], object)


def _numbers(name: str, column: Array) -> Array:
    try:
        numbers: Array = np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the column {shown(name)} holds what is no number: {error}") from error
    return numbers
