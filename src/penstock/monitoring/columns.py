"""From tensors to columns: which tensors of a model are watched, what their features are called, and their rows as numbers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Array, Tensor, TensorSpec, element_count
from penstock.monitoring.options import MOST_FEATURES, MonitoringOptions
from penstock.monitoring.reference import FeatureReference, Reference, codes
from penstock.payloads.columns import within
from penstock.payloads.flat import OUTPUT
from penstock.payloads.rules import ALL

Numbers = NDArray[np.floating]
Block = list[Array]
"""Rows of some requests: one array of shape (rows, width) for each tensor that is watched."""
_NARROW: Final = frozenset({"FP32", "FP16", "BF16", "BOOL", "INT8", "UINT8", "INT16", "UINT16"})
"""Datatypes whose values FP32 holds exactly."""
_TEXT: Final = "BYTES"


class Sides(NamedTuple):
    """The columns of one version, and what is not watched of it."""

    inputs: "Columns"
    outputs: "Columns"
    unwatched: Mapping[str, str]
    """By input or output, as its features would be called: why not."""


class Columns:
    """The tensors that are watched on one side of a model: its inputs, or its outputs."""

    def __init__(self, specs: Sequence[TensorSpec], prefix: str = "") -> None:
        """`prefix` is what the names of the features begin with."""
        self.specs: Final = tuple(specs)
        self.names: Final = [name for spec in specs for name in feature_names(spec, prefix)]
        self.is_text: Final = [spec.datatype.wire == _TEXT for spec in specs for _ in range(_width(spec))]
        self._dtype = np.float32 if all(spec.datatype.wire in _NARROW | {_TEXT} for spec in specs) else np.float64

    def block(self, requests: Sequence[Sequence[Tensor]]) -> Block:
        """Return the rows of requests, or of answers; one that lacks a watched tensor is left out, and so is one of uneven rows."""
        whole = [arrays for tensors in requests if (arrays := self._arrays(tensors)) is not None]
        return [_joined(spec, pieces) for spec, pieces in zip(self.specs, zip(*whole, strict=True), strict=True)] if whole else []

    def numbers(self, block: Block, reference: Reference | None = None) -> Numbers:
        """Return the rows as numbers, one column for each feature; with a reference the columns are its features, by its categories.

        Without a reference a text is a hash of itself.
        """
        known = {} if reference is None else {feature.name: feature for feature in reference.features}
        start, pieces = 0, []
        for spec, array in zip(self.specs, block, strict=True):
            names = self.names[start : start + array.shape[1]]
            start += len(names)
            pieces.append(_coded(array, [known.get(name) for name in names]) if spec.datatype.wire == _TEXT else _plain(spec, array))
        rows: Numbers
        rows = (
            pieces[0].astype(self._dtype, copy=False)
            if len(pieces) == 1
            else np.concatenate(pieces, 1, dtype=self._dtype, casting="unsafe")
        )
        return rows if reference is None or list(known) == self.names else rows[:, [self.names.index(name) for name in known]]

    def fitting(self, reference: Reference | None) -> Reference | None:
        """Return what a reference says of the features that are watched, None if it says nothing; numbers are no texts."""
        if reference is None:
            return None
        texts = dict(zip(self.names, self.is_text, strict=True))
        fit = [each.name for each in reference.features if texts.get(each.name) is (each.categories is not None)]
        return reference.of(fit)

    def named(self, block: Block) -> dict[str, Array]:
        """Return the columns by feature: numbers as numbers, texts as they are."""
        columns = [array[:, place] for array in block for place in range(array.shape[1])]
        if all(self.is_text):
            return dict(zip(self.names, columns, strict=True))
        numbers = self.numbers(block)
        told = [columns[place] if text else numbers[:, place] for place, text in enumerate(self.is_text)]
        return dict(zip(self.names, told, strict=True))

    def _arrays(self, tensors: Sequence[Tensor]) -> Sequence[Array] | None:
        if len(tensors) == len(self.specs) == 1:  # as nearly always
            return (tensors[0].array,) if tensors[0].name == self.specs[0].name else None
        there = {tensor.name: tensor.array for tensor in tensors}
        found = {spec.name: there[spec.name] for spec in self.specs if spec.name in there}
        lengths = {len(found[spec.name]) if leads(spec) else 1 for spec in self.specs if spec.name in found}
        if len(lengths) != 1 or any(spec.name not in found and not spec.optional for spec in self.specs):
            return None
        (rows,) = lengths
        return [found[spec.name] if spec.name in found else _absent(spec, rows) for spec in self.specs]


def sides_of(schema: ModelSchema, options: MonitoringOptions, redact: Mapping[str, str]) -> Sides:
    """Return what is watched of a version: outputs first, since there is room for so many features and no more.

    `redact` are the rules of the recorded payloads: what they touch is watched only if it is named, and as text never.
    """
    unwatched: dict[str, str] = {}
    outputs = _chosen(schema.outputs, _Wish(options.outputs, redact, OUTPUT, MOST_FEATURES), unwatched)
    room = MOST_FEATURES - sum(map(_width, outputs))
    inputs = _chosen(schema.inputs, _Wish(options.inputs, redact, "", room), unwatched)
    return Sides(Columns(inputs), Columns(outputs, OUTPUT), unwatched)


def feature_names(spec: TensorSpec, prefix: str = "") -> list[str]:
    """Return what the features of a tensor are called, as in a table of recorded payloads: `age`, or `X.0` and `X.1`."""
    width = _width(spec)
    return [f"{prefix}{spec.name}"] if width == 1 else [f"{prefix}{spec.name}.{place}" for place in range(width)]


def leads(spec: TensorSpec) -> bool:
    """Tell whether the first dimension of a tensor is that of rows."""
    return spec.shape[:1] == (-1,)


class _Wish(NamedTuple):
    """What is to be watched of one side."""

    names: Sequence[str]
    redact: Mapping[str, str]
    prefix: str
    room: int
    """Features that there is room for."""


def _chosen(specs: Sequence[TensorSpec], wish: _Wish, unwatched: dict[str, str]) -> list[TensorSpec]:
    """Return the tensors of one side that are watched; adds why the others that are wanted are not."""
    found: list[TensorSpec] = []
    in_rows = any(leads(spec) for spec in specs)
    for spec in specs:
        if spec.name not in wish.names and ALL not in wish.names:
            continue
        if problem := _problem(spec, in_rows=in_rows) or _redaction(spec, wish) or _crowd(spec, found, wish):
            unwatched[f"{wish.prefix}{spec.name}"] = problem
        else:
            found.append(spec)
    known = {ALL, *(spec.name for spec in specs)}
    unwatched.update({f"{wish.prefix}{name}": "the model has none of that name" for name in wish.names if name not in known})
    return found


def _crowd(spec: TensorSpec, found: Sequence[TensorSpec], wish: _Wish) -> str:
    taken = {name for other in found for name in feature_names(other)}
    if _width(spec) > (left := wish.room - len(taken)):
        return f"it has {_width(spec)} features, and of {MOST_FEATURES} in all there is room for {left}"
    return "its features would be called as those of another tensor are" if taken & set(feature_names(spec)) else ""


def _problem(spec: TensorSpec, *, in_rows: bool) -> str:
    if -1 in spec.shape[1:]:
        return "its rows differ in their shape"
    if in_rows and not leads(spec):
        return "it has no row for each row of the others"
    return "" if _width(spec) else "its rows are empty"


def _redaction(spec: TensorSpec, wish: _Wish) -> str:
    rules = {wish.redact.get(spec.name, wish.redact.get(ALL, "keep")), *(wish.redact[name] for name in within(wish.redact, spec))}
    if rules == {"keep"}:
        return ""
    if spec.datatype.wire == _TEXT:
        return "it is text that payloads.redact touches"
    return "" if spec.name in wish.names else "payloads.redact touches it; name it in monitoring to have its numbers counted"


def _width(spec: TensorSpec) -> int:
    return element_count(spec.shape[1:] if leads(spec) else spec.shape)


def _joined(spec: TensorSpec, pieces: Sequence[Array]) -> Array:
    whole: Array = np.concatenate(pieces) if leads(spec) else np.stack(pieces)
    return whole.reshape(len(whole), _width(spec))


def _absent(spec: TensorSpec, rows: int) -> Array:
    shape = (rows, *spec.shape[1:]) if leads(spec) else spec.shape
    return np.full(shape, "", object) if spec.datatype.wire == _TEXT else np.full(shape, np.nan, np.float32)


def _plain(spec: TensorSpec, array: Array) -> Array:
    if spec.datatype.wire != "BF16" or array.dtype.kind == "f":
        return array
    return (array.astype(np.uint32) << 16).view(np.float32)


def _coded(array: Array, features: Sequence[FeatureReference | None]) -> Numbers:
    return np.column_stack(list(_codes(array, features)))


def _codes(array: Array, features: Sequence[FeatureReference | None]) -> Iterator[Numbers]:
    for place, feature in enumerate(features):
        texts = array[:, place]
        if feature is not None and feature.categories is not None:
            yield codes(texts, feature.categories)
        else:
            yield np.array([float(crc32(text.encode("utf-8", "surrogatepass"))) if text else np.nan for text in texts.tolist()])
