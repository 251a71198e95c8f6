"""The worker processes of a version, as `/admin/models` tells of them."""

import msgspec

from penstock.execution.worker_keeper import WorkerKeeper
from penstock.lifecycle.version import ServedVersion
from penstock.lifecycle.worker_watch import keepers_of


class WorkerReport(msgspec.Struct, kw_only=True):
    """The worker process of one session."""

    device: str
    state: str
    """up, silent, restarting, or resting while the breaker is open."""
    why: str
    """What has led to the state."""
    pid: int | None
    breaker: str
    """closed, half_open or open."""
    retry_s: float
    """Seconds until an open breaker lets the next worker try."""
    deaths: dict[str, int]
    """By reason."""
    restarts: int
    own_bytes: int
    slab_bytes: int
    """Memory that the server shares with it."""


def workers_of(version: ServedVersion) -> list[WorkerReport]:
    """Return the workers of a ready version, by device; none where it runs on threads of the server."""
    return [_worker(device, keeper) for device, keeper in keepers_of(version)]


def _worker(device: str, keeper: WorkerKeeper) -> WorkerReport:
    worker = keeper.current
    return WorkerReport(
        device=device,
        state=str(keeper.state),
        why=keeper.why,
        pid=worker.pid if worker else None,
        breaker=str(keeper.breaker),
        retry_s=round(keeper.rest_s, 3),
        deaths={str(death): count for death, count in keeper.tally.deaths.items()},
        restarts=keeper.tally.restarts,
        own_bytes=worker.own_bytes if worker else 0,
        slab_bytes=worker.slab_bytes if worker else 0,
    )
