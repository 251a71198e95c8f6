"""What is taken out of tensors before they are recorded."""

import hmac
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from penstock.domain.tensor import DATATYPES, Array, Tensor
from penstock.payloads.rules import ALL, KEEP, Rule, rule_of

_TEXT: Final = DATATYPES["BYTES"]
_DIGITS: Final = 32
"""128 bits of the digest, enough for no two values to meet."""


class Redaction:
    """The rules of one model. Without any, tensors pass as they are."""

    __slots__ = ("_key", "_others", "_rules", "active")

    def __init__(self, redact: Mapping[str, str], key: bytes) -> None:
        """`key` is the secret of "hash": whoever does not have it cannot try out values."""
        rules = {name: rule_of(text) for name, text in redact.items()}
        self._others: Rule = rules.pop(ALL, KEEP)
        self._rules = rules
        self._key = key
        self.active: Final = self._others != KEEP or any(rule != KEEP for rule in rules.values())

    def kept(self, tensors: Sequence[Tensor], known: Mapping[str, object]) -> list[Tensor]:
        """Return those that are not to be dropped.

        A tensor that the model does not know goes too: a misspelt name must not slip past the rule for the right one.
        """
        return [tensor for tensor in tensors if tensor.name in known and self._rule(tensor.name).act != "drop"]

    def redacted(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the tensors as they may be written."""
        return [safe for tensor in tensors if (safe := self._redacted(tensor)) is not None]

    def _rule(self, name: str) -> Rule:
        return self._rules.get(name, self._others)

    def _redacted(self, tensor: Tensor) -> Tensor | None:
        """Return the tensor, or None where its rule drops it or does not fit its datatype."""
        rule = self._rule(tensor.name)
        if rule.act == "keep":
            return tensor
        if rule.act == "hash":
            return Tensor(tensor.name, _TEXT, hashed(tensor.array, self._key))
        if rule.act == "truncate":
            return Tensor(tensor.name, tensor.datatype, truncated(tensor.array, int(rule.size)))
        if rule.act == "bucket" and tensor.datatype.wire not in {"BYTES", "BOOL", "BF16"}:
            return Tensor(tensor.name, tensor.datatype, bucketed(tensor.array, rule.size))
        return None


def hashed(array: Array, key: bytes) -> Array:
    """Return a keyed hash of each element as text, in the same shape; equal elements of one datatype have equal hashes.

    HMAC-SHA256 (RFC 2104), cut to 128 bits.
    """
    hashes = np.empty(array.size, dtype=object)
    for index, item in enumerate(array.reshape(-1)):
        data = item.tobytes() if isinstance(item, np.generic) else str(item).encode("utf-8", "surrogatepass")
        hashes[index] = hmac.digest(key, data, "sha256").hex()[:_DIGITS]
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
    """Return the edges of whole numbers by Python's integers, for a float would lose digits; none is below the lowest number."""
    lowest = int(np.iinfo(array.dtype).min)
    whole = max(1, int(width))
    edges = [max(lowest, int(item) // whole * whole) for item in array.reshape(-1)]
    return np.array(edges, dtype=array.dtype).reshape(array.shape)
