"""Turns what somebody sends into a plan, or tells everything that is wrong with it at once."""

import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final, get_origin

import msgspec

from penstock.domain.errors import InvalidInput
from penstock.domain.names import is_alias, is_version_number, shown
from penstock.traffic.plan import Gates, LatencyGate, LimitGate, NumberGate, RolloutPlan, ShareGate, Step

MOST_STEPS: Final = 100
MOST_METRICS: Final = 20
_MOST_TOLD: Final = 50
_WEEK_S: Final = 7 * 86_400
_WHOLE: Final = 100.0
_ANY: Final = ("max", "ratio", "difference")

_Rule = tuple[str, Callable[[Any], bool]]


def _between(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: value is None or (math.isfinite(value) and low <= value <= high)


def _is_in_hundredths(value: float) -> bool:
    return abs(value * 100 - round(value * 100)) < 1e-6  # noqa: PLR2004 - floats hold no hundredths


_SHARE: Final[_Rule] = ("a share from 0 to 1", _between(0, 1))
_RATIO: Final[_Rule] = ("a number from 1 to 1000", _between(1, 1000))
_RULES: Final[Mapping[type[msgspec.Struct], Mapping[str, _Rule]]] = {
    Step: {
        "weight": (
            "a percentage above 0 and below 100, with at most two decimals",
            lambda value: 0 < value < _WHOLE and _is_in_hundredths(value),
        ),
        "hold_s": ("a number of seconds from 0 to a week", _between(0, _WEEK_S)),
    },
    ShareGate: {"ratio": _RATIO, "difference": _SHARE},
    LatencyGate: {
        "quantile": ("a quantile from 0.5 to 0.999", _between(0.5, 0.999)),
        "ratio": _RATIO,
        "least_ms": ("a number of milliseconds from 0 to 10000", _between(0, 10_000)),
        "difference": _SHARE,
    },
    LimitGate: {"max": ("a share above 0 and below 1", lambda value: 0 < value < 1)},
    NumberGate: {
        "max": ("a finite number", _between(-math.inf, math.inf)),
        "ratio": ("a finite number above 0", lambda value: value is None or 0 < value < math.inf),
        "difference": ("a finite number from 0", _between(0, math.inf)),
        "looks": ("a whole number from 1 to 1000", _between(1, 1000)),
    },
    Gates: {
        "false_alarms": ("a chance from 0.000001 to 0.1", _between(1e-6, 0.1)),
        "min_requests": ("a whole number from 1 to 1000000000", _between(1, 10**9)),
        "max_bad_share": ("a share above 0, up to 1", lambda value: 0 < value <= 1),
    },
    RolloutPlan: {
        "canary": ("a version number, or the name of an alias or canary", lambda value: is_version_number(value) or is_alias(value)),
        "give_up_s": ("a number of seconds from 1 to a week, or null", _between(1, _WEEK_S)),
    },
}


def plan_of(document: Mapping[str, object], is_metric: Callable[[str], bool]) -> RolloutPlan:
    """Return the plan that a JSON object describes; raises `InvalidInput` that lists every problem."""
    problems = list(_problems(RolloutPlan, document, ""))
    if problems:
        raise _refusal(problems)
    plan = msgspec.convert(document, RolloutPlan)
    problems = list(_contradictions(plan, is_metric))
    if problems:
        raise _refusal(problems)
    return plan


def _refusal(problems: list[str]) -> InvalidInput:
    more = [f"and {len(problems) - _MOST_TOLD} more"] if len(problems) > _MOST_TOLD else []
    return InvalidInput(f"the plan of the rollout cannot be used: {'; '.join(problems[:_MOST_TOLD] + more)}")


def _problems(kind: type[msgspec.Struct], given: object, where: str) -> Iterator[str]:
    if not isinstance(given, Mapping):
        yield f"{where.rstrip('.')} is {shown(repr(given))}, it must be an object"
        return
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for key in given.keys() - fields.keys():
        yield _unknown(f"{where}{key}", key, list(fields))
    for name, field in fields.items():
        if name in given:
            yield from _field_problems(kind, name, field.type, given[name], f"{where}{name}")
        elif field.required:
            yield f"{where}{name} is missing"


def _field_problems(kind: type[msgspec.Struct], name: str, declared: Any, value: object, where: str) -> Iterator[str]:  # noqa: ANN401 - any annotation
    nested = _nested(declared)
    several = get_origin(declared) is tuple
    if nested is not None and isinstance(value, list) and several:
        for place, item in enumerate(value):
            yield from _problems(nested, item, f"{where}[{place}].")
    elif nested is not None and isinstance(value, Mapping) and not several:
        yield from _problems(nested, value, f"{where}.")
    else:
        yield from _value_problems(kind, name, declared, value, where)


def _value_problems(kind: type[msgspec.Struct], name: str, declared: Any, value: object, where: str) -> Iterator[str]:  # noqa: ANN401
    rule = _RULES[kind].get(name)
    try:
        converted = msgspec.convert(value, declared)
        fits = rule is None or rule[1](converted)
    except msgspec.ValidationError as error:
        yield f"{where} is {shown(repr(value))}: {rule[0] + ' is needed' if rule else str(error)}"
        return
    if not fits and rule is not None:
        yield f"{where} is {shown(repr(value))}, it must be {rule[0]}"


def _nested(declared: Any) -> type[msgspec.Struct] | None:  # noqa: ANN401
    """Return the kind of object that a field holds, alone, in a list or as what may be null."""
    candidates = [declared, *getattr(declared, "__args__", ())]
    return next((kind for kind in candidates if isinstance(kind, type) and issubclass(kind, msgspec.Struct)), None)


def _unknown(where: str, key: object, known: list[str]) -> str:
    near = difflib.get_close_matches(str(key), known, 1)
    return f"unknown key {shown(where)}; " + (f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}")


def _contradictions(plan: RolloutPlan, is_metric: Callable[[str], bool]) -> Iterator[str]:
    weights = [step.weight for step in plan.steps]
    if not 1 <= len(weights) <= MOST_STEPS:
        yield f"steps has {len(weights)} steps, it must have 1 to {MOST_STEPS}"
    for place, (before, after) in enumerate(pairwise(weights), 1):
        if after <= before:
            yield f"steps[{place}].weight is {after:g} after {before:g}, each step must be higher than the one before"
    if len(plan.gates.metrics) > MOST_METRICS:
        yield f"gates.metrics has {len(plan.gates.metrics)} gates, it may have {MOST_METRICS}"
    for place, gate in enumerate(plan.gates.metrics):
        yield from _number_problems(gate, f"gates.metrics[{place}]")
        if not is_metric(gate.name):
            yield f"gates.metrics[{place}].name is {shown(gate.name)}, it must be a metric of this server with the label version"
    if plan.gates.drift is not None:
        yield from _drift_problems(plan.gates.drift)


def _drift_problems(gate: NumberGate) -> Iterator[str]:
    if gate.name or gate.max is None or gate.ratio is not None or gate.difference is not None:
        yield "gates.drift takes 'max' and 'looks'"


def _number_problems(gate: NumberGate, where: str) -> Iterator[str]:
    given = [name for name in _ANY if getattr(gate, name) is not None]
    if len(given) != 1:
        yield f"{where} has {' and '.join(given) or 'no limit'}, it must have one of: {', '.join(_ANY)}"
