"""What shadows do, as metrics."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock.domain.clock import NS_PER_S
from penstock.telemetry.family import MODEL, Family, Samples

SHADOW_FAMILIES: Final = (
    Family("penstock_shadow_requests_total", "counter", (*MODEL, "end"), "Answered requests that a shadow was to follow, by their end."),
    Family("penstock_shadow_compared_total", "counter", (*MODEL, "measure"), "Requests whose answers were compared with a shadow's."),
    Family("penstock_shadow_mismatch_total", "counter", (*MODEL, "measure"), "Requests in which a shadow's answer differs."),
    Family("penstock_shadow_again_total", "counter", (*MODEL, "end"), "Requests run again on the version that answered, by their end."),
    Family("penstock_shadow_noise_total", "counter", (*MODEL, "measure"), "Those of them in which it differs from itself."),
    Family("penstock_shadow_busy_seconds_total", "counter", MODEL, "Time of threads that shadows and comparisons took."),
    Family("penstock_shadow_held_bytes", "gauge", MODEL, "Bytes of inputs and answers that wait for a shadow."),
)


@dataclass(frozen=True, slots=True)
class ShadowView:
    """What a scrape reads of one version that is run as a shadow, or again beside itself."""

    model: str
    version: str
    again: bool
    """Whether the version is the one that had answered."""
    ends: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By version and end."""
    compared: Mapping[tuple[str, str], int] = field(default_factory=dict)
    mismatched: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By version and measure."""
    busy_ns: Mapping[str, int] = field(default_factory=dict)
    """By version."""
    held_bytes: int = 0


def shadow_samples(views: Iterable[ShadowView]) -> dict[str, Samples]:
    """Return the samples of each family; what several queues say of one version is added up."""
    views = list(views)
    shadows, again = [view for view in views if not view.again], [view for view in views if view.again]
    return {
        "penstock_shadow_requests_total": _sums((view.model, *key, count) for view in shadows for key, count in view.ends.items()),
        "penstock_shadow_compared_total": _sums((view.model, *key, count) for view in shadows for key, count in view.compared.items()),
        "penstock_shadow_mismatch_total": _sums((view.model, *key, count) for view in shadows for key, count in view.mismatched.items()),
        "penstock_shadow_again_total": _sums((view.model, *key, count) for view in again for key, count in view.ends.items()),
        "penstock_shadow_noise_total": _sums((view.model, *key, count) for view in again for key, count in view.mismatched.items()),
        "penstock_shadow_busy_seconds_total": _sums(
            (view.model, version, ns / NS_PER_S) for view in views for version, ns in view.busy_ns.items()
        ),
        "penstock_shadow_held_bytes": _sums((view.model, view.version, view.held_bytes) for view in views),
    }


def _sums(entries: "Iterator[tuple[*tuple[str, ...], float]]") -> Samples:
    sums: dict[tuple[str, ...], float] = {}
    for *labels, value in entries:
        key = tuple(map(str, labels))
        sums[key] = sums.get(key, 0) + float(value)
    return [(list(labels), value) for labels, value in sums.items()]
