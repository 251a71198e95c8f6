"""How redaction is written down: one word for each tensor, some with a number."""

import math
from typing import Final, Literal, NamedTuple

from penstock.domain.names import shown

Act = Literal["keep", "drop", "hash", "truncate", "bucket"]
_PLAIN: Final[dict[str, Act]] = {"keep": "keep", "drop": "drop", "hash": "hash"}
_EXPECTED: Final = 'use "keep", "drop", "hash", "truncate:N" or "bucket:W"'


class Rule(NamedTuple):
    """What is done to one tensor before it is recorded."""

    act: Act
    size: float = 0
    """Characters or elements that `truncate` leaves; the width of a bucket."""


KEEP: Final = Rule("keep")
DROP: Final = Rule("drop")
ALL: Final = "*"
"""Stands for every tensor that has no rule of its own."""


def rule_of(text: str) -> Rule:
    """Return the rule that a text says; raises ValueError with what is wrong with it."""
    if text in _PLAIN:
        return Rule(_PLAIN[text])
    act, _, number = text.partition(":")
    if act == "truncate" and number.isdecimal() and number.isascii():
        return Rule("truncate", int(number))
    if act == "bucket":
        return Rule("bucket", _width(text, number))
    raise ValueError(f"{shown(text)} is no rule; {_EXPECTED}")


def rule_problem(text: str) -> str:
    """Return what is wrong with a text that should say a rule, "" if nothing is."""
    try:
        rule_of(text)
    except ValueError as error:
        return str(error)
    return ""


def _width(text: str, number: str) -> float:
    try:
        width = float(number)
    except ValueError as error:
        raise ValueError(f"{shown(text)} has no width; write bucket:10") from error
    if not 0 < width < math.inf:
        raise ValueError(f"{shown(text)} has no width above 0; write bucket:10")
    return width
