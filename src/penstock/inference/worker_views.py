"""What a scrape of the metrics reads of the worker processes of a version."""

from penstock.execution.breaker import BreakerState
from penstock.execution.worker_channel import Death
from penstock.execution.worker_keeper import WorkerKeeper, WorkerState
from penstock.lifecycle.version import ServedVersion
from penstock.lifecycle.worker_watch import keepers_of
from penstock.telemetry.isolation import WorkerView


def worker_views(version: ServedVersion) -> tuple[WorkerView, ...]:
    """Return what is counted of a ready version's workers, by device; none where it runs on threads of the server."""
    return tuple([_view(version, device, keeper) for device, keeper in keepers_of(version)])


def _view(version: ServedVersion, device: str, keeper: WorkerKeeper) -> WorkerView:
    worker = keeper.current
    return WorkerView(
        version.identity.name,
        version.identity.version,
        device,
        up=keeper.state is WorkerState.UP,
        breaker=str(keeper.breaker),
        breakers=[str(state) for state in BreakerState],
        deaths={str(death): keeper.tally.deaths[death] for death in Death},
        restarts=keeper.tally.restarts,
        own_bytes=worker.own_bytes if worker else 0,
        slab_bytes=worker.slab_bytes if worker else 0,
    )
