"""Predictions that are recorded for what was answered, whatever the sample says."""

from collections.abc import Mapping, Sequence
from typing import Final

from penstock.domain.tensor import Array, Datatype, Tensor, TensorSpec
from penstock.payloads.columns import named
from penstock.payloads.keep_rules import KeepRule
from penstock.traffic.differences import numbers


class Keep:
    """The rules of one model. Asked on the event loop: each rule costs some microseconds."""

    def __init__(self, rules: Sequence[KeepRule]) -> None:
        self._rules: Final = tuple(rules)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def holds(self, outputs: Sequence[Tensor], known: Mapping[str, TensorSpec]) -> bool:
        """Tell whether any rule keeps an answer."""
        return any(_holds(rule, *found) for rule in self._rules for found in named(rule.output, outputs, known))


def _holds(rule: KeepRule, tensor: Tensor, array: Array) -> bool:
    if not array.size or array.dtype.hasobject:
        return False
    values = array if array.dtype.kind == "f" else _numbers(array, tensor.datatype)
    if rule.confidence_below is not None:
        best = values.max(axis=-1) if _has_classes(values, tensor.array) else values
        return bool((best < rule.confidence_below).any())
    if rule.above is None or rule.below is None:
        return bool((values > rule.above if rule.above is not None else values < rule.below).any())
    return bool(((values > rule.above) & (values < rule.below)).any())


def _numbers(array: Array, datatype: Datatype) -> Array:
    return numbers(array, datatype) if datatype.wire == "BF16" else array


def _has_classes(values: Array, whole: Array) -> bool:
    """Tell whether the last dimension is one of scores: not of a single column, and not that of rows."""
    return values.ndim == whole.ndim and values.ndim > 1
