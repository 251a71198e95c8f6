"""What is taken out of tensors before they are recorded: tensor by tensor, or column by column."""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from penstock.domain.tensor import DATATYPES, Array, Tensor, TensorSpec
from penstock.payloads.columns import column_names, width_of, within
from penstock.payloads.rules import ALL, DROP, KEEP, Rule, rule_of

_TEXT: Final = DATATYPES["BYTES"]
_DIGITS: Final = 32
"""128 bits of the digest, enough for no two values to meet."""
_MOST_HASHES: Final = 4096
"""Elements of one tensor that are hashed: each takes a microsecond of the event loop."""
_MOST_COLUMNS: Final = 1024
_NO_NUMBERS: Final = frozenset({"BYTES", "BOOL", "BF16"})


class _Plan(NamedTuple):
    """What becomes of a tensor that is recorded column by column."""

    spec: TensorSpec
    """Kept for its identity, which is what the plan is found by: to hash it takes longer than to redact."""
    columns: list[tuple[str, Rule]] | None
    """Those that are not dropped; None if no rule speaks of columns."""
    places: list[int]
    """Where they are in the last dimension."""


class Redaction:
    """The rules of one model. Without any, tensors pass as they are."""

    __slots__ = ("_key", "_others", "_plans", "_rules", "active")

    def __init__(self, redact: Mapping[str, str], key: bytes) -> None:
        """`key` is the secret of "hash": whoever does not have it cannot try out values."""
        rules = {name: rule_of(text) for name, text in redact.items()}
        self._others: Rule = rules.pop(ALL, KEEP)
        self._rules = rules
        self._key = key
        self._plans: dict[tuple[int, int], _Plan] = {}
        self.active: Final = self._others != KEEP or any(rule != KEEP for rule in rules.values())

    def safe(self, tensors: Sequence[Tensor], known: Mapping[str, TensorSpec]) -> list[Tensor]:
        """Return what may be recorded of tensors; those that are views as copies, for what they are views of holds the rest too.

        `known` are the tensors of the model. One with rules for columns becomes a tensor for each column, its last dimension gone: `X.age`
        of shape [rows]. One that the model does not know is dropped, for a misspelt name must not slip past the rule for the right one; and
        so is one in which the columns cannot be told, and a tensor or column that its rule does not fit.
        """
        return [safe for tensor in tensors if tensor.name in known for safe in self._safe(tensor, known[tensor.name])]

    def _safe(self, tensor: Tensor, spec: TensorSpec) -> Sequence[Tensor]:
        plan = self._plan(spec, width_of(tensor.array, spec))
        if plan.columns is None:
            whole = self._redacted(tensor, self._rules.get(tensor.name, self._others))
            return () if whole is None else (_alone(whole),)
        arrays = _columns_of(tensor.array, plan.places) if plan.places else ()
        given = zip(plan.columns, arrays, strict=True)
        redacted = [self._redacted(Tensor(name, tensor.datatype, array), rule) for (name, rule), array in given]
        return [column for column in redacted if column is not None]

    def _plan(self, spec: TensorSpec, width: int) -> _Plan:
        """Return what becomes of a tensor. `width` is -1 where there are no columns."""
        key = id(spec), width
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _MOST_COLUMNS:
                self._plans.clear()
            columns = self._columns(spec, width)
            kept = [(place, name, rule) for place, name, rule in columns or () if rule != DROP]
            plan = _Plan(spec, None if columns is None else [(name, rule) for _, name, rule in kept], [place for place, _, _ in kept])
            self._plans[key] = plan
        return plan

    def _columns(self, spec: TensorSpec, width: int) -> list[tuple[int, str, Rule]] | None:
        """Return the columns with their rules, None if no rule speaks of any; none where nobody can tell which column is meant."""
        meant = within(self._rules, spec)
        if not meant:
            return None
        names = column_names(spec, width)
        understood = {known for index, name in enumerate(names) for known in (f"{spec.name}.{name}", f"{spec.name}.{index}", name)}
        if not meant <= understood:
            return []
        columns = [(index, f"{spec.name}.{name}", self._column_rule(spec, index, name)) for index, name in enumerate(names)]
        return columns if sum(rule != DROP for _, _, rule in columns) <= _MOST_COLUMNS else []

    def _column_rule(self, spec: TensorSpec, index: int, name: str) -> Rule:
        """Return the rule that speaks of a column the most precisely; to cut a column of numbers would cut off rows, so it is dropped."""
        said = (f"{spec.name}.{name}", f"{spec.name}.{index}", *([name] if spec.columns else []), spec.name)
        rule = next((self._rules[key] for key in said if key in self._rules), self._others)
        return DROP if rule.act == "truncate" and spec.datatype is not _TEXT else rule

    def _redacted(self, tensor: Tensor, rule: Rule) -> Tensor | None:
        """Return the tensor, or None where its rule drops it or does not fit it."""
        if rule.act == "keep":
            return tensor
        if rule.act == "hash" and tensor.array.size <= _MOST_HASHES:
            return Tensor(tensor.name, _TEXT, hashed(tensor.array, self._key))
        if rule.act == "truncate":
            return Tensor(tensor.name, tensor.datatype, truncated(tensor.array, int(rule.size)))
        if rule.act == "bucket" and tensor.datatype.wire not in _NO_NUMBERS:
            return Tensor(tensor.name, tensor.datatype, bucketed(tensor.array, rule.size))
        return None


def _columns_of(array: Array, places: Sequence[int]) -> Iterable[Array]:
    """Return copies of columns, which share memory with each other and with nothing else."""
    columns = array.take(places, axis=-1)
    if columns.ndim == 1:  # to iterate over it would yield no arrays
        return [columns[place, ...] for place in range(len(places))]
    return np.ascontiguousarray(columns.transpose(columns.ndim - 1, *range(columns.ndim - 1)))


def _alone(tensor: Tensor) -> Tensor:
    return tensor if tensor.array.base is None else Tensor(tensor.name, tensor.datatype, tensor.array.copy())


def digest_of(data: bytes, key: bytes) -> str:
    """Return the keyed hash of a value: HMAC-SHA256 (RFC 2104), cut to 128 bits."""
    return hmac.digest(key, data, "sha256").hex()[:_DIGITS]


def hashed(array: Array, key: bytes) -> Array:
    """Return a keyed hash of each element as text, in the same shape; equal elements of one datatype have equal hashes."""
    hashes = np.empty(array.size, dtype=object)
    for index, item in enumerate(array.reshape(-1)):
        data = item.tobytes() if isinstance(item, np.generic) else str(item).encode("utf-8", "surrogatepass")
        hashes[index] = digest_of(data, key)
    return hashes.reshape(array.shape)


def truncated(array: Array, size: int) -> Array:
    """Return each text cut to so many characters; of other tensors the first so many elements, as one row."""
    if not array.dtype.hasobject:
        return array.reshape(-1)[:size].copy()
    texts = np.empty(array.size, dtype=object)
    texts[:] = [str(item)[:size] for item in array.reshape(-1)]
    return texts.reshape(array.shape)


def bucketed(array: Array, width: float) -> Array:
    """Return each number as the lower edge of its bucket; NaN and infinities stay."""
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):
            edges: Array = (np.floor(array.astype(np.float64) / width) * width).astype(array.dtype)
        return np.where(np.isfinite(array), edges, array)
    return _whole_buckets(array, width)


def _whole_buckets(array: Array, width: float) -> Array:
    """Return the edges of whole numbers in their own datatype, for a float would lose digits; none is below the lowest number."""
    limits, whole = np.iinfo(array.dtype), max(1, int(width))
    if whole > limits.max:
        return np.where(array < 0, limits.min, 0).astype(array.dtype)
    lowest = -(-int(limits.min) // whole)  # the first edge that is not below all numbers
    places = array // array.dtype.type(whole)
    edges: Array = np.maximum(places, array.dtype.type(lowest)) * array.dtype.type(whole)
    return np.where(places < lowest, array.dtype.type(limits.min), edges)
