"""How the server itself is: its connections, its event loop, its memory and what goes wrong beside predictions, as metrics."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from penstock.telemetry.family import Family, Samples

VITAL_FAMILIES: Final = (
    Family("penstock_connections", "gauge", ("listener",), "Open connections; of gRPC with the native transport."),
    Family("penstock_connections_refused_total", "counter", ("listener",), "Connections refused since there were too many."),
    Family("penstock_hook_errors_total", "counter", ("hook",), "Faults beside predictions, which are answered all the same."),
    Family("penstock_loop_stalls_total", "counter", (), "Times that the event loop stood still for more than a second."),
    Family("penstock_loop_stalled_seconds_total", "counter", (), "How long it stood still in all."),
    Family("penstock_memory_used_ratio", "gauge", (), "Memory in use, as a part of what the control group allows."),
    Family("penstock_memory_short", "gauge", (), "1 while predictions are refused because memory is short."),
    Family("penstock_model_problem", "gauge", ("model",), "1 while something is wrong with the model in the registry."),
)


class Connections:
    """Counts the connections of one listener, and tells when there are too many. Lives on the event loop."""

    __slots__ = ("most", "open", "refused")

    def __init__(self) -> None:
        self.open = 0
        self.refused = 0
        self.most = 0
        """How many the listener takes, which it sets."""

    def entered(self, count: int) -> bool:
        """Hear that there is one more, and how many that makes; returns whether it is taken."""
        self.open = count
        fits = count <= self.most
        self.refused += not fits
        return fits

    @property
    def crowded(self) -> bool:
        """Whether so many that were refused have not left that they are closed at once, whether or not their peers have read why.

        They hold descriptors, too.
        """
        return self.open > self.most + self.most // 8


class VitalsView(NamedTuple):
    """What a scrape reads of the server itself."""

    connections: Mapping[str, Connections] = MappingProxyType({})
    """By listener."""
    hook_errors: Mapping[str, int] = MappingProxyType({})
    loop_stalls: int = 0
    loop_stalled_s: float = 0.0
    memory_part: float | None = None
    """None where nothing limits the memory."""
    memory_short: bool = False
    problems: Mapping[str, bool] = MappingProxyType({})
    """By model."""


NO_VITALS: Final = VitalsView()
"""What is read where nobody looks."""


def vital_samples(view: VitalsView) -> dict[str, Samples]:
    """Return the samples of each family."""
    return {
        "penstock_connections": [([name], each.open) for name, each in view.connections.items()],
        "penstock_connections_refused_total": [([name], each.refused) for name, each in view.connections.items()],
        "penstock_hook_errors_total": [([hook], count) for hook, count in view.hook_errors.items()],
        "penstock_loop_stalls_total": [([], view.loop_stalls)],
        "penstock_loop_stalled_seconds_total": [([], view.loop_stalled_s)],
        "penstock_memory_used_ratio": [] if view.memory_part is None else [([], view.memory_part)],
        "penstock_memory_short": [([], view.memory_short)],
        "penstock_model_problem": [([name], wrong) for name, wrong in view.problems.items()],
    }
