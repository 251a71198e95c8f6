"""A session whose graph lives in a worker process: a crash, a hang or a hog takes that process down, and nothing else."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from penstock.domain.errors import LoadRefused, ModelFailed
from penstock.domain.halt import Halt
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Array
from penstock.execution.breaker import Breaker
from penstock.execution.worker_channel import Call, WorkerLost
from penstock.execution.worker_keeper import WorkerKeeper
from penstock.execution.worker_process import WorkerOrder


class IsolatedSession:
    """`Session` over a worker process, which its keeper replaces whenever it dies.

    A run that the worker died of is tried once more, alone: then only it can be what kills the next one. If it does, it has failed, and
    who has put its rows together divides them.
    """

    def __init__(self, order: WorkerOrder, breaker: Breaker | None = None) -> None:
        """Load the graph in a new process; blocks. Raises `BadArtifact` or `LoadRefused`."""
        self.keeper: Final = WorkerKeeper(order, breaker)
        try:
            worker = self.keeper.start()
        except WorkerLost as error:
            raise LoadRefused(f"the model cannot be loaded in a worker process: {error}") from error
        self._schema = worker.schema
        self._placement = worker.placement
        self._company = Company()
        self.when_closed: Callable[[], object] = _nothing
        """Called at the end of `close`."""

    @property
    def schema(self) -> ModelSchema:
        """What the graph takes and gives."""
        return self._schema

    @property
    def placement(self) -> Mapping[str, float]:
        """Share of the graph's nodes by device kind."""
        return self._placement

    def run(
        self,
        inputs: Mapping[str, Any],
        outputs: Sequence[str],
        limit_s: float | None = None,
        halt: Halt | None = None,
        *,
        again: bool = False,
    ) -> list[Array]:
        """Return the named outputs; see `Session.run`. Raises `Unavailable` too, while the model rests."""
        return self._run(Call(inputs, outputs, limit_s, halt), again=again)

    def shrink(self, inputs: Mapping[str, Any], outputs: Sequence[str], halt: Halt | None = None) -> list[Array]:
        """Return the named outputs; see `Session.shrink`."""
        return self._run(Call(inputs, outputs, None, halt, shrink=True), again=False)

    def _run(self, call: Call, *, again: bool) -> list[Array]:
        if not again:
            try:
                return self._attempt(call, again=False)
            except WorkerLost:
                if call.halt is not None and call.halt.asked:
                    raise ModelFailed("the run was ended, for nobody waited for it any more") from None
        try:
            return self._attempt(call, again=True)
        except WorkerLost as error:
            raise ModelFailed(f"the model's worker process {error} while it ran this input") from error

    def close(self) -> None:
        """End the worker process."""
        self.keeper.close()
        self.when_closed()

    def _attempt(self, call: Call, *, again: bool) -> list[Array]:
        self._company.enter(alone=again)
        try:
            worker = self.keeper.worker(call.halt)
            worker.suspected = again
            try:
                outputs = worker.run(call)
            except WorkerLost as error:
                self.keeper.lost(worker)
                raise WorkerLost(worker.death()[1]) from error
            worker.suspected = False
        finally:
            self._company.leave(alone=again)
        self.keeper.passed()
        return outputs


def _nothing() -> None:
    """Do nothing."""


class Company:
    """Who may use the worker at once: many plain runs, or one that is under suspicion, which goes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = threading.Condition(self._lock)
        self._inside = 0
        self._suspects = 0
        """Those that are inside or want to be."""

    def enter(self, *, alone: bool) -> None:
        """Wait for one's turn; `leave` after it."""
        with self._lock:
            if alone:
                self._suspects += 1
                self._left.wait_for(lambda: not self._inside)
            elif self._suspects:
                self._left.wait_for(lambda: not self._suspects)
            self._inside += 1

    def leave(self, *, alone: bool) -> None:
        """Make room."""
        with self._lock:
            self._inside -= 1
            self._suspects -= alone
            if self._suspects or alone:
                self._left.notify_all()
