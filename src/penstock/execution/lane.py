"""Concurrent runs of one session, on the threads of its device."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import monotonic_ns, thread_time_ns

from penstock.domain.batch import Batch, Run
from penstock.domain.errors import Internal, PenstockError
from penstock.domain.session import Session
from penstock.execution.pool import DevicePool

_log = logging.getLogger(__name__)


class SessionLanes:
    """The lanes of one version: where each run goes. One session serves all lanes of a device."""

    def __init__(self, places: Sequence[tuple[Session, DevicePool]], stored: Batch | None = None) -> None:
        """`places` come in the order of the lanes' numbers; `stored` is an input that every sound lane can run."""
        self.stored = stored
        self._places = places
        self._loop = asyncio.get_running_loop()

    def run_here(self, lane: int, batch: Batch) -> Run:
        """Run the batch at once, on the calling thread."""
        began_ns = thread_time_ns()
        run = execute(self._places[lane][0], batch)
        run.busy_ns = thread_time_ns() - began_ns
        return run

    def run(self, lane: int, batch: Batch, done: Callable[[Run], None]) -> None:
        """Run the batch on a thread of the lane's device and call `done` on the event loop: one hop back for the whole batch."""
        session, pool = self._places[lane]
        pool.submit(lambda: self._report(done, execute(session, batch)))

    def _report(self, done: Callable[[Run], None], run: Run) -> None:
        try:
            self._loop.call_soon_threadsafe(done, run)
        except RuntimeError:  # the loop has been closed: nobody is left to hear of it
            _log.debug("a batch finished after its event loop was closed")


def execute(session: Session, batch: Batch) -> Run:
    """Stack, run and split the batch; a failure is part of the result, never raised."""
    run = Run()
    try:
        started = monotonic_ns()
        inputs = batch.stack()
        stacked = monotonic_ns()
        again = {"again": True} if batch.again else {}
        outputs = session.run(inputs, batch.outputs, halt=batch.halt, **again)
        ran = monotonic_ns()
        run.outputs = batch.split(outputs)
        run.input_ns, run.infer_ns, run.output_ns = stacked - started, ran - stacked, monotonic_ns() - ran
    except PenstockError as error:
        run.error = error.bare()  # its frames know the run: a cycle would keep the batch until the garbage collector comes by
    except Exception:  # a lane outlives whatever happens in it
        _log.exception("a batch failed unexpectedly")
        run.error = Internal("the server failed while running the model; its log tells more")
    return run
