"""What a model's features looked like when all was well: the frozen bins that live rows are counted in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from penstock.domain.names import shown
from penstock.monitoring.options import LEAST_ROWS, MOST_FEATURES

BINS: Final = 16
_MOST_CATEGORIES: Final = 64
_LEAST_SHARE: Final = 0.005
_LEAST_OCCURRENCES: Final = 5
"""What is rarer in the sample is no category of its own: so a text that somebody has typed is not kept."""
_LONGEST_CATEGORY: Final = 128
MOST_BYTES: Final = 2 * 1024 * 1024
_Kind = TypeVar("_Kind", bound=msgspec.Struct)


class FeatureReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One feature of the sample. Counts are rows, edges are in the feature's own unit; a category's number is its place in the list."""

    name: str
    edges: list[float]
    """Ascending and different; a value lies above as many as are less than it."""
    above: list[int]
    """Rows of the sample above each edge."""
    low: float
    """The least value of the sample."""
    high: float
    rows: int
    """Rows that hold a value."""
    missing: int = 0
    """Rows that hold NaN, or an empty text."""
    categories: list[str] | None = None
    """Of a text: the values that are told apart, the most frequent first; all others share one number more. None for numbers."""


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The features of a sample, in the order of the columns that are watched."""

    features: list[FeatureReference]
    schema_version: int = 1

    def encode(self) -> bytes:
        """Return the JSON text, the same for the same content."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    @classmethod
    def decode(cls, text: bytes) -> "Reference":
        """Return what the text of a reference says; raises ValueError with what is wrong."""
        found = _decoded(text, cls)
        _check(found)
        return found

    def of(self, names: Sequence[str]) -> "Reference | None":
        """Return the reference of those of its features that are named, in its own order; None if it has none of them."""
        known = [feature for feature in self.features if feature.name in set(names)]
        return Reference(features=known) if known else None


class VersionReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the inputs and outputs of a version looked like: the file `reference.json`."""

    inputs: Reference | None = None
    outputs: Reference | None = None
    schema_version: int = 1

    def encode(self) -> bytes:
        """Return the JSON text, the same for the same content."""
        return msgspec.json.format(msgspec.json.encode(self), indent=0) + b"\n"

    @classmethod
    def decode(cls, text: bytes) -> "VersionReference":
        """Return what the text of the file says; raises ValueError with what is wrong."""
        return _decoded(text, cls).checked()

    def checked(self) -> "VersionReference":
        """Return the same; raises ValueError with what is wrong with it."""
        for side in (self.inputs, self.outputs):
            if side is not None:
                _check(side)
        return self


def reference_of(names: Sequence[str], rows: NDArray[np.floating]) -> Reference:
    """Return the reference of a sample of shape (rows, features); NaN is a missing value.

    The edges are quantiles of the sample, so that each bin holds as many rows as the next. Raises ValueError for names that do not
    fit, a sample of fewer than 100 rows, and a feature that holds no finite value.
    """
    if rows.ndim != 2 or rows.shape[1] != len(names):  # noqa: PLR2004 - rows and features
        raise ValueError(f"the sample has the shape {list(rows.shape)}; it must be [rows, {len(names)}], one column for each feature")
    if len(rows) < LEAST_ROWS:
        raise ValueError(f"the sample has {len(rows)} rows; give at least {LEAST_ROWS}, or no test could tell drift from chance")
    reference = Reference(features=[_feature(name, rows[:, column]) for column, name in enumerate(names)])
    _check(reference)
    return reference


def reference_of_columns(columns: Mapping[str, NDArray[Any]]) -> Reference:
    """Return the reference of named columns of equal length, numbers or texts; see `reference_of`.

    Texts are told apart where one of 200 rows or more has the same, five at least; "" is a missing value.
    """
    categories = {name: categories_of(column) for name, column in columns.items() if column.dtype.hasobject}
    numbers = [codes(column, categories[name]) if name in categories else column for name, column in columns.items()]
    reference = reference_of(list(columns), np.column_stack(numbers))
    return Reference(features=[structs.replace(each, categories=categories.get(each.name)) for each in reference.features])


def categories_of(texts: NDArray[Any]) -> list[str]:
    """Return the values of a sample that are frequent enough to be told apart, the most frequent first."""
    counts = Counter(texts.tolist())
    counts.pop("", None)
    least = max(_LEAST_OCCURRENCES, _LEAST_SHARE * len(texts))
    frequent = [text for text, count in counts.most_common(_MOST_CATEGORIES) if count >= least and len(text) <= _LONGEST_CATEGORY]
    return sorted(frequent, key=lambda text: (-counts[text], text))


def codes(texts: NDArray[Any], categories: Sequence[str]) -> NDArray[np.float64]:
    """Return each text as its place among the categories, all others as one place more, and "" as NaN."""
    places = {text: place for place, text in enumerate(categories)} | {"": np.nan}
    return np.array([places.get(text, len(categories)) for text in texts.tolist()], np.float64)


def _decoded(text: bytes, kind: type[_Kind]) -> _Kind:
    if len(text) > MOST_BYTES:
        raise ValueError(f"the reference has {len(text)} bytes, more than {MOST_BYTES}; watch fewer features")
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise ValueError(f"the reference cannot be read: {error}; make it again from a sample") from error


def _feature(name: str, column: NDArray[np.floating]) -> FeatureReference:
    there = column[~np.isnan(column)]
    if not len(there) or not np.isfinite(there).all():
        raise ValueError(f"the feature {shown(name)} must hold finite numbers, and NaN where one is missing")
    edges = np.unique(np.quantile(there, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    # Nothing lies above the greatest value: as an edge it would tell no more than `high` does.
    edges = edges[edges < there.max()]
    above = (there[:, None] > edges).sum(axis=0)
    return FeatureReference(
        name=name, edges=edges.tolist(), above=above.tolist(), low=float(there.min()), high=float(there.max()),
        rows=len(there), missing=len(column) - len(there),
    )  # fmt: skip


def _check(reference: Reference) -> None:
    names = [feature.name for feature in reference.features]
    if not 1 <= len(names) <= MOST_FEATURES:
        raise ValueError(f"the reference has {len(names)} features; between 1 and {MOST_FEATURES} can be watched")
    if len(set(names)) != len(names):
        raise ValueError("the reference names a feature twice; give each its own name")
    for feature in reference.features:
        if problem := _problem(feature):
            raise ValueError(f"the reference of the feature {shown(feature.name)} {problem}; make it again from a sample")


def _problem(feature: FeatureReference) -> str:
    edges, above = feature.edges, feature.above
    if len(edges) != len(above) or len(edges) >= BINS:
        return f"has {len(edges)} edges and {len(above)} counts; both must be equally many and fewer than {BINS}"
    if sorted(set(edges)) != edges or feature.low > feature.high:
        return "does not ascend"
    if feature.rows < 1 or feature.missing < 0 or sorted([0, *above[::-1], feature.rows]) != [0, *above[::-1], feature.rows]:
        return "has counts that contradict each other"
    return ""
