"""What is found between the answers of two versions to the same requests, many requests at a time."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np

from penstock.domain.tensor import Array, Datatype, Tensor, element_count
from penstock.traffic.class_scores import MOST_CLASSES, ClassAgreement, class_agreement
from penstock.traffic.differences import RowDifferences, Tolerance, is_inexact, numbers, row_differences

_TOGETHER: Final = 1 << 20
"""Elements that are put into one array to be compared; a larger tensor is looked at where it lies."""


class Answers(NamedTuple):
    """One request as two versions answered it, outputs by name."""

    request_id: str
    primary: Mapping[str, Tensor]
    shadow: Mapping[str, Tensor]


class Kind(StrEnum):
    """In what an output differs."""

    VALUE = "value"
    """A number is too far from the primary's."""
    EXACT = "exact"
    """Whole numbers, truths or texts are not equal."""
    NAN = "nan"
    """A number is none, or infinite, on one side only."""
    SHAPE = "shape"
    DATATYPE = "datatype"
    MISSING = "missing"
    """The shadow does not give the output."""
    EXTRA = "extra"
    """Only the shadow gives the output."""


class Misfit(NamedTuple):
    """An output that cannot be compared element by element."""

    request: int
    """Which of the requests, by position."""
    output: str
    kind: Kind
    primary: str
    """Datatype and shape there, "" where the output is missing."""
    shadow: str


class OutputFindings(NamedTuple):
    """What was found of one output in requests in which both versions gave it in the same form; arrays of one entry for each."""

    output: str
    datatype: Datatype
    requests: list[int]
    """Which of the requests, by position."""
    shapes: list[tuple[int, ...]]
    differences: RowDifferences
    """By request: sums and maxima over its rows; `worst` counts in the flat tensor."""
    classes: ClassAgreement | None
    """Of the rows of all requests; None where the output holds no class scores."""
    owners: Array
    """To which request each row belongs, by its place in `requests`."""

    def any_row(self, holds: Array) -> Array:
        """Return of each request whether something holds of any of its rows."""
        return np.bincount(self.owners, weights=holds, minlength=len(self.requests)) > 0


def find(pairs: Sequence[Answers], tolerance: Tolerance) -> tuple[list[OutputFindings], list[Misfit]]:
    """Return what is found in each output, and which outputs could not be compared."""
    alike: defaultdict[tuple[str, str, tuple[int, ...]], list[int]] = defaultdict(list)
    misfits: list[Misfit] = []
    for number, pair in enumerate(pairs):
        for name in {**pair.primary, **pair.shadow}:
            ours, theirs = pair.primary.get(name), pair.shadow.get(name)
            kind = _misfit(ours, theirs)
            if kind is not None or ours is None:
                misfits.append(Misfit(number, name, kind or Kind.EXTRA, _form(ours), _form(theirs)))
            else:
                alike[name, ours.datatype.wire, ours.array.shape[1:]].append(number)
    return [_found(pairs, name, part, tolerance) for (name, *_), numbers in alike.items() for part in _parts(pairs, name, numbers)], misfits


def _misfit(ours: Tensor | None, theirs: Tensor | None) -> Kind | None:
    if ours is None:
        return Kind.EXTRA
    if theirs is None:
        return Kind.MISSING
    if ours.datatype is not theirs.datatype:
        return Kind.DATATYPE
    return Kind.SHAPE if ours.array.shape != theirs.array.shape else None


def _form(tensor: Tensor | None) -> str:
    return "" if tensor is None else f"{tensor.datatype.wire}{list(tensor.array.shape)}"


def _parts(pairs: Sequence[Answers], name: str, requests: Sequence[int]) -> Iterable[list[int]]:
    """Yield the requests in parts whose tensors are put together without taking much memory."""
    part: list[int] = []
    elements = 0
    for number in requests:
        size = pairs[number].primary[name].array.size
        if part and elements + size > _TOGETHER:
            yield part
            part, elements = [], 0
        part.append(number)
        elements += size
    yield part


def _found(pairs: Sequence[Answers], name: str, requests: list[int], tolerance: Tolerance) -> OutputFindings:
    tensors = [(pairs[number].primary[name], pairs[number].shadow[name]) for number in requests]
    datatype, shapes = tensors[0][0].datatype, [ours.array.shape for ours, _ in tensors]
    primary, shadow = _rows([ours.array for ours, _ in tensors]), _rows([theirs.array for _, theirs in tensors])
    counts = [_row_count(shape) for shape in shapes]
    by_row = row_differences(primary, shadow, datatype, tolerance) if primary.size else RowDifferences.none(len(primary))
    differences = by_row if max(counts) == min(counts) == 1 else _by_request(by_row, counts, primary.shape[1])
    owners = np.repeat(np.arange(len(counts)), counts)
    return OutputFindings(name, datatype, requests, shapes, differences, _classes(primary, shadow, datatype, shapes[0]), owners)


def _rows(arrays: list[Array]) -> Array:
    flat = [array.reshape(_row_count(array.shape), element_count(array.shape[1:])) for array in arrays]
    return flat[0] if len(flat) == 1 else np.concatenate(flat)


def _row_count(shape: tuple[int, ...]) -> int:
    return shape[0] if shape else 1


def _by_request(by_row: RowDifferences, counts: Sequence[int], row_size: int) -> RowDifferences:
    found = RowDifferences.none(len(counts))
    ends = list(accumulate(counts))
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        if start == end:
            continue
        row = start + int(by_row.score[start:end].argmax())
        found.worst[number] = (row - start) * row_size + by_row.worst[row]
        for name in ("score", "largest", "relative"):
            getattr(found, name)[number] = getattr(by_row, name)[start:end].max()
        for name in ("total", "outside", "nan_primary", "nan_shadow"):
            getattr(found, name)[number] = getattr(by_row, name)[start:end].sum()
    return found


def _classes(primary: Array, shadow: Array, datatype: Datatype, shape: tuple[int, ...]) -> ClassAgreement | None:
    """Return how class scores agree: two dimensions of inexact numbers, the second of them the classes."""
    if len(shape) != 2 or not 2 <= shape[1] <= MOST_CLASSES or not is_inexact(datatype) or not primary.size:  # noqa: PLR2004
        return None
    return class_agreement(numbers(primary, datatype), numbers(shadow, datatype))
