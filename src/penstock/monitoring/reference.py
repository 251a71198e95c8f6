"""What a model's features looked like when all was well: the frozen bins that live rows are counted in."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.domain.names import shown

MOST_FEATURES: Final = 256
"""Features beyond are not watched, so that nobody's model makes series without end."""
BINS: Final = 16
_LEAST_ROWS: Final = 100
_MOST_BYTES: Final = 1024 * 1024


class FeatureReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One numerical feature of the sample. Counts are rows, edges are in the feature's own unit."""

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
    """Rows that hold NaN."""


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
        if len(text) > _MOST_BYTES:
            raise ValueError(f"the reference has {len(text)} bytes, more than {_MOST_BYTES}; watch fewer features")
        try:
            found = msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise ValueError(f"the reference cannot be read: {error}; make it again from a sample") from error
        _check(found)
        return found


def reference_of(names: Sequence[str], rows: NDArray[np.floating]) -> Reference:
    """Return the reference of a sample of shape (rows, features); NaN is a missing value.

    The edges are quantiles of the sample, so that each bin holds as many rows as the next. Raises ValueError for names that do not
    fit, a sample of fewer than 100 rows, and a feature that holds no finite value.
    """
    if rows.ndim != 2 or rows.shape[1] != len(names):  # noqa: PLR2004 - rows and features
        raise ValueError(f"the sample has the shape {list(rows.shape)}; it must be [rows, {len(names)}], one column for each feature")
    if len(rows) < _LEAST_ROWS:
        raise ValueError(f"the sample has {len(rows)} rows; give at least {_LEAST_ROWS}, or no test could tell drift from chance")
    reference = Reference(features=[_feature(name, rows[:, column]) for column, name in enumerate(names)])
    _check(reference)
    return reference


def reference_of_columns(columns: Mapping[str, NDArray[np.floating]]) -> Reference:
    """Return the reference of named columns of equal length; see `reference_of`."""
    return reference_of(list(columns), np.column_stack([np.asarray(column) for column in columns.values()]))


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
