"""What a rollout should do: its steps, and the gates that it has to pass."""

from typing import Final

import msgspec


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A weight, and how long it is held at least."""

    weight: float
    """Percent of unpinned traffic that the canary gets, above 0 and below 100, with at most two decimals."""
    hold_s: float = 300.0
    """Seconds at this weight before the next step, 0 or more."""


class ShareGate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bounds the canary's share of bad ends: at most `ratio` times the stable arm's share, plus `difference`."""

    ratio: float = 1.0
    """Tolerated share as a multiple of the stable arm's share."""
    difference: float = 0.002
    """Tolerated share on top of it."""


class LatencyGate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bounds the canary's p99, or another quantile, by that of the stable arm."""

    quantile: float = 0.99
    """Which one: 0.5 is the median, which shows a slower version soonest, 0.99 what the slowest requests suffer."""
    ratio: float = 1.2
    """Tolerated quantile as a multiple of the stable arm's."""
    least_ms: float = 2.0
    """A quantile that is higher by no more than this is tolerated too."""
    difference: float = 0.002
    """Tolerated share of further slow requests on top of those that the quantile leaves, such as one in a hundred."""


class LimitGate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bounds a share that has no stable arm to compare with, such as answers that differ in a shadow."""

    max: float
    """The tolerated share."""


class NumberGate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bounds a number of which no distribution is known: over the limit in so many looks in a row breaks the gate."""

    name: str = ""
    """A metric of this server with the label `version`."""
    max: float | None = None
    """The highest tolerated number."""
    ratio: float | None = None
    """The highest tolerated multiple of the stable arm's number."""
    difference: float | None = None
    """The most by which the canary's number may exceed the stable arm's."""
    looks: int = 3
    """How many looks in a row over the limit break the gate."""


class Gates(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is judged; null turns a gate off."""

    false_alarms: float = 0.005
    """The chance that a canary which is no worse than tolerated is rolled back, in the whole rollout, however often it is looked at."""
    min_requests: int = 100
    """Requests that the canary must have answered in a step before the next one."""
    max_bad_share: float = 0.005
    """A step ends only when its numbers rule out that the next one would make more than this share of all responses bad."""
    errors: ShareGate | None = ShareGate()
    """Predictions that the version failed."""
    refusals: ShareGate | None = ShareGate(difference=0.005)
    """Predictions that were refused or ran out of time."""
    rejections: ShareGate | None = ShareGate(difference=0.01)
    """Requests that the version called invalid: a schema that no longer fits its callers."""
    latency: LatencyGate | None = LatencyGate()
    """The p99 of whole requests, or another quantile."""
    disagreement: LimitGate | None = None
    """Answers that differ between the versions, by a shadow's comparison."""
    drift: NumberGate | None = None
    """How far the canary's outputs have drifted, by the monitoring."""
    metrics: tuple[NumberGate, ...] = ()
    """Further metrics by their name."""


DEFAULT_STEPS: Final = tuple(Step(weight=weight) for weight in (1, 5, 25, 50))


class RolloutPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stepwise canary."""

    canary: str
    """The version that should become the stable one: a canary of the route, an alias or a number."""
    steps: tuple[Step, ...] = DEFAULT_STEPS
    """From the first to the last; after it the canary becomes the stable version."""
    gates: Gates = Gates()
    """What the canary is judged by."""
    give_up_s: float | None = None
    """Go back to stable after so long without a verdict in one step; null holds until there is one."""
