"""Keeps the worker process of one session alive: watches it, buries it, starts the next one, or gives up for a while."""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import Final, NamedTuple

from penstock.domain.errors import PenstockError, Unavailable
from penstock.domain.halt import Halt
from penstock.execution.breaker import Breaker, BreakerState
from penstock.execution.worker_channel import Death, WorkerLost
from penstock.execution.worker_process import SILENT_S, WorkerOrder, WorkerProcess

_log = logging.getLogger(__name__)
_LOOK_S: Final = 0.1


class WorkerState(StrEnum):
    """How a session's worker process is."""

    UP = "up"
    SILENT = "silent"
    """It does not answer; it may be stopped, or the machine overloaded."""
    RESTARTING = "restarting"
    """It has died, and the next one is not there yet."""
    RESTING = "resting"
    """It has died too often: the breaker is open."""
    CLOSED = "closed"


class WorkerNews(NamedTuple):
    """A change of state."""

    before: WorkerState
    after: WorkerState
    why: str


@dataclass(slots=True)
class WorkerTally:
    """What has become of a session's worker processes."""

    deaths: Counter[Death] = field(default_factory=Counter)
    restarts: int = 0


class WorkerKeeper:
    """One thread for each session: it starts every worker, and lives as long as they, which the kernel asks for."""

    def __init__(self, order: WorkerOrder, breaker: Breaker | None = None) -> None:
        self.tally: Final = WorkerTally()
        self.state = WorkerState.RESTARTING
        self.why = ""
        """What has led to the state."""
        self.listener: Callable[[WorkerNews], None] = lambda _: None
        """Hears of changes, on the keeper's thread."""
        self._order = order
        self._breaker = breaker or Breaker()
        self._worker: WorkerProcess | None = None
        self._latest: WorkerProcess | None = None
        """The one that was started last, perhaps not of use yet."""
        self._failure: Exception | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._keep, name="penstock-keeper", daemon=True)

    @property
    def breaker(self) -> BreakerState:
        """Whether the model is tried."""
        return self._breaker.state

    @property
    def current(self) -> WorkerProcess | None:
        """The worker, if there is one."""
        return self._worker

    @property
    def rest_s(self) -> float:
        """Seconds until a model that is not tried any more is tried again."""
        return self._breaker.pause_s(monotonic())

    def start(self) -> WorkerProcess:
        """Return the first worker; blocks. Raises `BadArtifact`, `LoadRefused` or `WorkerLost`."""
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._worker is not None or self._failure is not None)
            if self._worker is None:
                assert self._failure is not None, "waited for"  # noqa: S101
                raise self._failure
            return self._worker

    def worker(self, halt: Halt | None) -> WorkerProcess:
        """Return the worker, the next one if it has just died; blocks. Raises `Unavailable` if there is none for long, or no one waits."""
        with self._changed:
            while (worker := self._worker) is None:
                if self.state in (WorkerState.RESTING, WorkerState.CLOSED) or (halt is not None and halt.asked):
                    raise self.refusal()
                self._changed.wait(_LOOK_S)
            return worker

    def refusal(self) -> Unavailable:
        """Return the error that says why there is no worker."""
        rest_s = self.rest_s
        return Unavailable(
            f"the model's worker process {self.why or 'is not there'}; it is tried again in {rest_s:.0f} s", retry_after_s=max(1.0, rest_s)
        )

    def passed(self) -> None:
        """Hear of a run that ended in the worker's answer."""
        self._breaker.passed()

    def lost(self, worker: WorkerProcess) -> None:
        """Hear that a worker is gone, perhaps before its keeper has noticed: nobody is to use it any more."""
        with self._changed:
            if self._worker is worker:
                self._worker = None

    def close(self) -> None:
        """End the worker, also one that is still loading; blocks until it is gone."""
        with self._changed:
            self._worker = None
            self.state = WorkerState.CLOSED
            self._changed.notify_all()
            if self._latest is not None:
                self._latest.kill(Death.KILLED)
        self._thread.join()

    def _keep(self) -> None:
        worker = self._first()
        while worker is not None:
            death, words = worker.watch(self._beat)
            self._bury(worker, death, words)
            worker = self._next()

    def _first(self) -> WorkerProcess | None:
        try:
            worker = self._started()
        except Exception as error:  # raised where it is waited for
            with self._changed:
                self._failure = error
                self._changed.notify_all()
            return None
        self._install(worker)
        return worker

    def _started(self) -> WorkerProcess:
        """Start a worker and have it load the graph; `close` ends it meanwhile, and one that was started a moment after it."""
        worker = WorkerProcess(self._order)
        with self._changed:
            self._latest = worker
            if self.state is WorkerState.CLOSED:
                worker.kill(Death.KILLED)
        worker.load()
        return worker

    def _install(self, worker: WorkerProcess) -> None:
        with self._changed:
            if self.state is WorkerState.CLOSED:
                return
            self._worker = worker
            self._changed.notify_all()
        self._enter(WorkerState.UP, "")

    def _beat(self) -> None:
        """Notice whether the worker answers."""
        worker = self._worker
        if worker is None:
            return
        silent = monotonic() - worker.heard_s > SILENT_S
        if silent and self.state is WorkerState.UP:
            self._enter(WorkerState.SILENT, f"has not answered for {SILENT_S:g} s")
        elif not silent and self.state is WorkerState.SILENT:
            self._enter(WorkerState.UP, "answers again")

    def _bury(self, worker: WorkerProcess, death: Death, words: str) -> None:
        self.lost(worker)
        self._died(death, words, counts=not worker.suspected)
        worker.close()

    def _died(self, death: Death, words: str, *, counts: bool) -> None:
        if self.state is WorkerState.CLOSED:
            return
        self.tally.deaths[death] += 1
        self._breaker.died(monotonic(), counts=counts)
        resting = self._breaker.state is BreakerState.OPEN
        _log.warning("the worker process of %s %s%s", self._order.path.name, words, "; its model rests" if resting else "")
        self._enter(WorkerState.RESTING if resting else WorkerState.RESTARTING, f"{words}, once too often" if resting else words)

    def _next(self) -> WorkerProcess | None:
        """Return the next worker, however long that takes; None if the session is closed."""
        while self._paused():
            try:
                worker = self._started()
            except (PenstockError, WorkerLost, OSError) as error:
                self._died(Death.EXITED, f"could not be started again: {error}", counts=True)
                continue
            self.tally.restarts += 1
            self._install(worker)
            return worker
        return None

    def _paused(self) -> bool:
        """Wait until the next worker may be started; False if there is to be none."""
        with self._changed:
            if self._changed.wait_for(lambda: self.state is WorkerState.CLOSED, self._breaker.pause_s(monotonic())):
                return False
        self._breaker.rested()
        return True

    def _enter(self, state: WorkerState, why: str) -> None:
        with self._changed:
            before = self.state
            if before is WorkerState.CLOSED:
                return
            self.state, self.why = state, why
            self._changed.notify_all()
        if before is not state:
            self.listener(WorkerNews(before, state, why))
