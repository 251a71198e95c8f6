"""The worker processes of isolated models, as metrics."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from penstock.telemetry.family import MODEL, Family, Samples

_WORKER: Final = (*MODEL, "device")

ISOLATION_FAMILIES: Final = (
    Family("penstock_worker_up", "gauge", _WORKER, "1 if the worker process is there and answers."),
    Family("penstock_worker_deaths_total", "counter", (*_WORKER, "reason"), "Worker processes that died."),
    Family("penstock_worker_restarts_total", "counter", _WORKER, "Worker processes started in place of one that died."),
    Family("penstock_worker_breaker", "gauge", (*_WORKER, "state"), "1 for the state that the breaker is in: closed, half_open, open."),
    Family("penstock_worker_own_bytes", "gauge", _WORKER, "Memory of the worker process, files and slabs not counted."),
    Family("penstock_worker_slab_bytes", "gauge", _WORKER, "Memory that the server shares with the worker process."),
)


@dataclass(frozen=True, slots=True)
class WorkerView:
    """What a scrape reads of one session in a worker process."""

    model: str
    version: str
    device: str
    up: bool
    breaker: str
    breakers: Sequence[str]
    """All states of a breaker."""
    deaths: Mapping[str, int] = field(default_factory=dict)
    """By reason; every reason is there."""
    restarts: int = 0
    own_bytes: int = 0
    slab_bytes: int = 0

    @property
    def labels(self) -> list[str]:
        """The values of the labels model, version and device."""
        return [self.model, self.version, self.device]


def isolation_samples(views: Iterable[WorkerView]) -> dict[str, Samples]:
    """Return the samples of each family."""
    views = list(views)
    return {
        "penstock_worker_up": [(view.labels, view.up) for view in views],
        "penstock_worker_deaths_total": [([*view.labels, reason], count) for view in views for reason, count in view.deaths.items()],
        "penstock_worker_restarts_total": [(view.labels, view.restarts) for view in views],
        "penstock_worker_breaker": [([*view.labels, state], state == view.breaker) for view in views for state in view.breakers],
        "penstock_worker_own_bytes": [(view.labels, view.own_bytes) for view in views],
        "penstock_worker_slab_bytes": [(view.labels, view.slab_bytes) for view in views],
    }
