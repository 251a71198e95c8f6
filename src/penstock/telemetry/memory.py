"""How the memory of the server and of its workers grows, as metrics."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from penstock.telemetry.family import MODEL, Family, Samples

_PROCESS: Final = (*MODEL, "device")

MEMORY_FAMILIES: Final = (
    Family(
        "penstock_memory_growth_bytes_per_second",
        "gauge",
        (*_PROCESS, "bound"),
        "Slope of a process's memory over the last hour: estimate, low and high; without a model, of the server.",
    ),
    Family("penstock_memory_growing", "gauge", _PROCESS, "1 if that growth is certain, and large enough to matter."),
    Family("penstock_arena_shrinks_total", "counter", MODEL, "Times that memory kept for larger runs was given back."),
)
_BOUNDS: Final = ("estimate", "low", "high")


class GrowthView(NamedTuple):
    """What a scrape reads of one process."""

    model: str
    """The version and device that a worker process is of; "" for the server."""
    version: str
    device: str
    slope: tuple[float, float, float] | None
    """Estimate, lower and upper bound, in bytes per second; None while too little is known."""
    growing: bool

    @property
    def labels(self) -> list[str]:
        """The values of the labels model, version and device."""
        return [self.model, self.version, self.device]


class MemoryView(NamedTuple):
    """What a scrape reads of memory."""

    processes: Sequence[GrowthView] = ()
    shrinks: Mapping[tuple[str, str], int] = MappingProxyType({})
    """By model and version."""


NO_MEMORY: Final = MemoryView()
"""What is read where nobody looks."""


def memory_samples(view: MemoryView) -> dict[str, Samples]:
    """Return the samples of each family."""
    known = [(each.labels, each.slope) for each in view.processes if each.slope is not None]
    return {
        "penstock_memory_growth_bytes_per_second": [
            ([*labels, bound], value) for labels, slope in known for bound, value in zip(_BOUNDS, slope, strict=True)
        ],
        "penstock_memory_growing": [(each.labels, each.growing) for each in view.processes],
        "penstock_arena_shrinks_total": [(list(key), count) for key, count in view.shrinks.items()],
    }
