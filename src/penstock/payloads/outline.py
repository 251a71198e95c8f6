"""What tensors rows hold: for whoever makes a table or a schema of them."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

from penstock.payloads.row import Row

Role = Literal["feature", "prediction"]
Type = Literal["numerical", "categorical", "text", "numerical_sequence", "text_sequence"]
_ROLES: Final[tuple[tuple[str, Role], ...]] = (("inputs", "feature"), ("outputs", "prediction"))


class Outline(NamedTuple):
    """One tensor, as the rows of one version have it. Roles and types are called as BentoML's monitoring calls those of columns."""

    model: str
    version: str
    name: str
    role: Role
    type: Type
    """What each row of a request has: one value, or a sequence of them."""
    datatype: str
    shape: list[int]
    """-1 where rows differ."""
    rows: int
    """Rows in which it is."""


def outlines(rows: Iterable[Row]) -> list[Outline]:
    """Return each tensor of each version, in the order of their names; one whose datatype has changed is there once for each."""
    found: dict[tuple[str, ...], Outline] = {}
    for row in rows:
        for one in _outlines(row):
            key = (one.model, one.version, one.role, one.name, one.datatype, str(len(one.shape)))
            found[key] = _together(found[key], one) if key in found else one
    return [found[key] for key in sorted(found)]


def _outlines(row: Row) -> Iterator[Outline]:
    for side, role in _ROLES:
        for cell in row[side]:
            datatype, shape = cell["datatype"], cell["shape"]
            yield Outline(row["model"], row["version"], cell["name"], role, _type(datatype, shape, role), datatype, shape, 1)


def _together(known: Outline, new: Outline) -> Outline:
    shape = [size if size == other else -1 for size, other in zip(known.shape, new.shape, strict=True)]
    return known._replace(shape=shape, type=_type(known.datatype, shape, known.role), rows=known.rows + 1)


def _type(datatype: str, shape: list[int], role: Role) -> Type:
    is_text = datatype == "BYTES"
    if any(size != 1 for size in shape[1:]):
        return "text_sequence" if is_text else "numerical_sequence"
    if datatype == "BOOL" or (is_text and role == "prediction"):  # a text that a model answers is a label
        return "categorical"
    return "text" if is_text else "numerical"
