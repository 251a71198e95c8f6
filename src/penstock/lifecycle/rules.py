"""Which values the keys of a model take, beyond their type.

msgspec could carry such bounds in its `Meta` annotations. They are plain functions because msgspec 0.22 crashes the
process on `Annotated[str, Meta(pattern=...)] | list[...]`, the shape of `versions`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from penstock.domain.names import is_alias, is_version_number
from penstock.domain.route import route_problems
from penstock.lifecycle.options import ModelOptions
from penstock.monitoring.feedback_options import feedback_problems
from penstock.monitoring.options import monitoring_problems
from penstock.payloads.options import recording_problems

DAY_S: Final = 86_400
_DEVICE: Final = re.compile(r"cpu|(cuda|tensorrt):[0-9]{1,3}")
_LATEST: Final = re.compile(r"latest:[1-9][0-9]{0,8}")


class Rule(NamedTuple):
    """What a value must be: in words, and as a test of a value whose type is right already."""

    words: str
    holds: Callable[[Any], bool]


def or_auto(rule: Rule) -> Rule:
    """Return the rule that admits "auto" beside what the given one admits."""
    return Rule(f'{rule.words}, or "auto"', lambda value: value == "auto" or rule.holds(value))


def _are_references(value: str | list[str | int]) -> bool:
    if isinstance(value, str):
        return value == "all" or _LATEST.fullmatch(value) is not None
    return bool(value) and all(is_version_number(str(item)) or is_alias(str(item)) for item in value)


def _are_devices(value: list[str]) -> bool:
    return bool(value) and all(_DEVICE.fullmatch(device) for device in value) and len(set(value)) == len(value)


COUNT: Final = Rule("a whole number from 1", lambda value: value >= 1)
_NUMBER: Final = Rule("a whole number from 0", lambda value: value >= 0)
_MILLISECONDS: Final = Rule("a number of milliseconds above 0, up to a day", lambda value: 0 < value <= DAY_S * 1000)
_SECONDS: Final = Rule("a number of seconds from 0, up to a day", lambda value: 0 <= value <= DAY_S)
_HANG: Final = Rule("a number of seconds above 0, up to a day", lambda value: 0 < value <= DAY_S)
_SHARE: Final = Rule("a share from 0 to 1", lambda value: 0 <= value <= 1)
_VERSIONS: Final = Rule('"latest:N" with N from 1, "all", or a list of version numbers and aliases', _are_references)
_ROUTE: Final = Rule(
    "a route that makes sense: versions are numbers or aliases, canaries have names of their own and weights in percent with at most two "
    "decimals, 100 together at most, samples are shares from 0 to 1, and sticky names either a header or an input",
    lambda value: value is None or not any(route_problems(value)),
)
_COLUMNS: Final = Rule("a list of names, each given once", lambda value: bool(value) and all(value) and len(set(value)) == len(value))
_PAYLOADS: Final = Rule(
    'a table that makes sense: sample is a share from 0 to 1, slower_ms a number of milliseconds, each rule of redact "keep", "drop", '
    '"hash", "truncate:N" or "bucket:W", each of keep an output with bounds, and subject one header or input',
    lambda value: not any(recording_problems(value)),
)
_MONITORING: Final = Rule(
    "a table that makes sense: reference_rows and window_rows from 100 to 100000, window_s above 0, up to a day, exported_features "
    "from 0 to 256, and limits above 0",
    lambda value: not any(monitoring_problems(value)),
)
_FEEDBACK: Final = Rule(
    "a table that makes sense: keep_s and window_s are seconds up to a year, max_bytes and window_rows whole numbers, and classes differ",
    lambda value: not any(feedback_problems(value)),
)
_DEVICES: Final = Rule('a list of "cpu", "cuda:N" or "tensorrt:N", each given once', _are_devices)

MODEL_RULES: Final[Mapping[str, Rule]] = {
    "versions": _VERSIONS,
    "route": _ROUTE,
    "keep_warm_s": _SECONDS,
    "lowest_version": _NUMBER,
    "slo_ms": or_auto(_MILLISECONDS),
    "max_batch_rows": COUNT,
    "max_batch_elements": or_auto(COUNT),
    "devices": _DEVICES,
    "lanes": or_auto(COUNT),
    "threads": or_auto(COUNT),
    "queue_rows": or_auto(COUNT),
    "queue_bytes": or_auto(COUNT),
    "slab_bytes": or_auto(COUNT),
    "hang_s": _HANG,
    "memory_bytes": or_auto(COUNT),
    "columns": _COLUMNS,
    "payloads": _PAYLOADS,
    "feedback": _FEEDBACK,
    "monitoring": _MONITORING,
    "require_placement": _SHARE,
}
"""The rule of each option that has one; for a table of free keys it holds for each value in it."""


def broken_rules(options: ModelOptions) -> Iterator[str]:
    """Yield a sentence for each value that its rule does not admit."""
    for key, rule in MODEL_RULES.items():
        value = getattr(options, key)
        for single in value.values() if isinstance(value, dict) else [value]:
            if not rule.holds(single):
                yield f"{key} is {single!r}; it must be {rule.words}"
