"""From a sample in a file to the reference of a version: which of its columns are which features."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from penstock.cli.models_registry import leave
from penstock.cli.options import USAGE
from penstock.cli.payloads_query import NEEDED
from penstock.domain.errors import BadArtifact
from penstock.domain.names import shown
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Tensor
from penstock.lifecycle.options import ModelOptions
from penstock.monitoring.columns import Columns, sides_of
from penstock.monitoring.reference import MOST_BYTES, Reference, VersionReference
from penstock.monitoring.sample import reference_of_sample
from penstock.payloads.reading import UnreadableRow, array_of, rows_of

if TYPE_CHECKING:
    from penstock.domain.tensor import Array

_PAYLOADS: Final = ".jsonl"
_TABLES: Final = (".parquet", ".csv")
_MOST_NAMED: Final = 5


class SampleReference(NamedTuple):
    """A reference, and what is to be told of it."""

    content: bytes
    """The text of `reference.json`."""
    features: int
    rows: int
    notes: tuple[str, ...]
    """What will not be watched, and why."""


def reference_from(path: Path, schema: ModelSchema, options: ModelOptions) -> SampleReference:
    """Return the reference of a model by a sample: recorded payloads, or a table with a column for each feature.

    Raises `BadArtifact` for a file that cannot be read, or that tells nothing of the model.
    """
    sides = sides_of(schema, options.monitoring, options.payloads.redact)
    notes = [f"{name} is not watched: {why}" for name, why in sides.unwatched.items()]
    read = _recorded if path.suffix == _PAYLOADS else _table
    found: dict[str, Reference | None] = {}
    for side, columns in (("inputs", sides.inputs), ("outputs", sides.outputs)):
        try:
            found[side], mute = reference_of_sample(read(path, side, columns))
        except (ValueError, OSError) as error:
            raise BadArtifact(f"the sample {path.name} cannot be used: {error}") from error
        notes += _silent(found[side], columns, mute)
    reference = VersionReference(inputs=found["inputs"], outputs=found["outputs"])
    return _told(path, reference, [*sides.inputs.names, *sides.outputs.names], notes)


def checked(path: Path | None) -> None:
    """Raise `BadArtifact` for a file that is no reference; None is fine."""
    if path is None:
        return
    try:
        VersionReference.decode(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadArtifact(f"{path.name} cannot be published: {error}") from error


def _told(path: Path, reference: VersionReference, names: list[str], notes: list[str]) -> SampleReference:
    features = [feature for side in (reference.inputs, reference.outputs) if side is not None for feature in side.features]
    if not features:
        raise BadArtifact(f"the sample {path.name} says nothing of the model; its columns are to be called {_listed(names)}")
    content = reference.encode()
    if len(content) > MOST_BYTES:
        raise BadArtifact(f"the reference has {len(content)} bytes, more than {MOST_BYTES}; name fewer inputs in monitoring.inputs")
    return SampleReference(content, len(features), max(each.rows + each.missing for each in features), tuple(notes))


def _silent(reference: Reference | None, columns: Columns, mute: Mapping[str, str]) -> Iterator[str]:
    known = set() if reference is None else {feature.name for feature in reference.features}
    yield from (f"{shown(name)} is not watched: {why}" for name, why in mute.items())
    if absent := [name for name in columns.names if name not in known and name not in mute]:
        yield f"{_listed(absent)}: not in the sample, so not watched"


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(map(shown, names[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _recorded(path: Path, side: str, columns: Columns) -> "dict[str, Array]":
    """Return the columns of recorded predictions; those that were not answered have no outputs."""
    try:
        requests = [list(_tensors(row[side], columns)) for row in rows_of(path)]
    except (UnreadableRow, KeyError, TypeError) as error:
        raise ValueError(f"it is no file of recorded payloads: {error}") from error
    block = columns.block(requests)
    return columns.named(block) if block else {}


def _tensors(cells: list[dict[str, Any]], columns: Columns) -> Iterator[Tensor]:
    """Yield the tensors that are as the model has them; what redaction has changed is not."""
    wanted = {spec.name: spec for spec in columns.specs}
    for cell in cells:
        spec, array = wanted.get(cell["name"]), array_of(cell)
        if spec is not None and spec.datatype is DATATYPES.get(cell["datatype"]) and spec.fits(array.shape):
            yield Tensor(spec.name, spec.datatype, array)


def _table(path: Path, _side: str, columns: Columns) -> "dict[str, Array]":
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


def _text(column: "Array") -> "Array":
    values = np.ma.filled(column.astype(object), "").tolist()
    return np.array(["" if value is None else str(value) for value in values], object)


def _numbers(name: str, column: "Array") -> "Array":
    try:
        numbers: Array = np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the column {shown(name)} holds what is no number: {error}") from error
    return numbers
