"""What becomes of a version's worker processes, told where people and requests see it."""

import asyncio
import contextlib
from collections.abc import Iterator
from functools import partial

from penstock.execution.isolated_session import IsolatedSession
from penstock.execution.worker_keeper import WorkerKeeper, WorkerNews, WorkerState
from penstock.lifecycle.events import Events
from penstock.lifecycle.version import ServedVersion


def keepers_of(version: ServedVersion) -> Iterator[tuple[str, WorkerKeeper]]:
    """Yield the devices of a ready version whose runs go to a worker process, with the keepers of these."""
    readiness = version.readiness
    for device, session in zip(readiness.options.devices, readiness.sessions, strict=True):
        if isinstance(session, IsolatedSession):
            yield device, session.keeper


def watch_workers(version: ServedVersion, events: Events) -> None:
    """From now on, have the model's events and the version's health follow its workers. Call it on the event loop."""
    loop = asyncio.get_running_loop()
    for _, keeper in keepers_of(version):
        keeper.listener = partial(_tell, loop, version, events)
        _follow(version)  # what has happened since the load began


def _tell(loop: asyncio.AbstractEventLoop, version: ServedVersion, events: Events, news: WorkerNews) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
        loop.call_soon_threadsafe(_heard, version, events, news)


def _heard(version: ServedVersion, events: Events, news: WorkerNews) -> None:
    events.add("server", f"worker of version {version.identity.version}", news.before, news.after, news.why)
    if version.ready:
        _follow(version)


def _follow(version: ServedVersion) -> None:
    """Say of the version what holds for its workers now; a version on several devices needs all of them."""
    ailing = [each for _, each in keepers_of(version) if each.state is not WorkerState.UP]
    resting = [each for each in ailing if each.state is WorkerState.RESTING]
    version.ailment = f"its worker process {ailing[0].why or ailing[0].state}" if ailing else ""
    version.batcher.outage = resting[0].refusal if resting else None
