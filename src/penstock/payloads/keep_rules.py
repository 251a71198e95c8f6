"""How it is written down which answers are always recorded."""

import math
from collections.abc import Iterator, Sequence

import msgspec

from penstock.domain.names import shown


class KeepRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Answers of which every prediction is recorded: a table of the list `keep`."""

    output: str
    """An output, `probabilities`, or a column of one, `probabilities.fraud`."""

    above: float | None = None
    """Some number in it is above; with `below` too, some number is between the two."""

    below: float | None = None
    """Some number in it is below."""

    confidence_below: float | None = None
    """The largest score of some row is below: the model was not sure."""


def keep_problems(rules: Sequence[KeepRule]) -> Iterator[str]:
    """Yield what makes no sense in rules."""
    for rule in rules:
        bounds = [bound for bound in (rule.above, rule.below, rule.confidence_below) if bound is not None]
        if not bounds or not all(map(math.isfinite, bounds)):
            yield f"the rule of keep for {shown(rule.output)} has no bound; give it above, below or confidence_below, a finite number"
        elif rule.confidence_below is not None and len(bounds) > 1:
            yield f"the rule of keep for {shown(rule.output)} has confidence_below beside another bound; make two rules of it"
        elif rule.above is not None and rule.below is not None and rule.above >= rule.below:
            yield f"the rule of keep for {shown(rule.output)} keeps nothing: no number is above {rule.above:g} and below {rule.below:g}"
