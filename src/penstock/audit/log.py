"""The audit log of a running server: told what happened, it writes on a thread of its own, so nobody waits for a disk."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from penstock.audit.entry import Change
from penstock.audit.journal import Journal
from penstock.audit.page import Asked, Page, page_of
from penstock.domain.actor import SERVER, Actor
from penstock.telemetry.auditing import AuditView

_log = logging.getLogger(__name__)
_MOST_WAITING: Final = 10_000
_MOST_AT_ONCE: Final = 500
_RETRY_S: Final = 1.0
_PATIENCE_S: Final = 1.0
"""How long a reader waits for what was told just before."""


class Event(Protocol):
    """What happened to a model."""

    @property
    def what(self) -> str:
        """What changed."""

    @property
    def before(self) -> str:
        """What it was."""

    @property
    def after(self) -> str:
        """What it is."""

    @property
    def why(self) -> str:
        """Why it changed."""


class AuditLog:
    """Takes changes from any thread. A disk that fails is told, and tried again; it ends nothing."""

    def __init__(self, directory: Path | None, *, most_waiting: int = _MOST_WAITING, retry_s: float = _RETRY_S) -> None:
        """Without a directory nothing is kept."""
        self._journal = None if directory is None else Journal(directory)
        self._most_waiting, self._retry_s = most_waiting, retry_s
        self._news = threading.Condition()
        self._waiting: deque[Change] = deque()
        self._written, self._lost, self._told_lost = 0, 0, 0
        self._problem = ""
        self._closing = False
        self._thread: threading.Thread | None = None

    def add(self, actor: Actor, what: str, before: str = "", after: str = "", why: str = "", *, model: str = "") -> None:
        """Have a change written; one that finds too many waiting is lost, and counted."""
        if self._journal is None:
            return
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._news:
            if len(self._waiting) < self._most_waiting:
                self._waiting.append(Change(at, actor, model, what, before, after, why))
                self._news.notify_all()
            else:
                self._lost += 1

    def heard(self, model: str, actor: Actor, event: Event) -> None:
        """Have what happened to a model written."""
        self.add(actor, event.what, event.before, event.after, event.why, model=model)

    def start(self) -> None:
        """Begin to write."""
        if self._journal is not None:
            self._thread = threading.Thread(target=self._run, args=(self._journal,), name="audit", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write what waits, or try to once more, and stop."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join()

    def view(self) -> AuditView:
        """Return what is counted."""
        return AuditView(self._written, self._lost, len(self._waiting), self._problem)

    def page(self, asked: Asked) -> Page:
        """Return the newest entries that are asked for, and among them what was told before. Blocks; raises `OSError`."""
        if self._journal is None:
            return Page([], None)
        with self._news:
            self._news.wait_for(lambda: not self._waiting or self._problem, _PATIENCE_S)
        return page_of(self._journal.files, asked)

    def _run(self, journal: Journal) -> None:
        while changes := self._next():
            if self._wrote(journal.append, changes):
                self._done(len(changes))
            elif self._given_up():
                return

    def _next(self) -> list[Change]:
        """Wait for changes; none are left when there will be no more."""
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._closing)
            return [self._waiting[i] for i in range(min(len(self._waiting), _MOST_AT_ONCE))]

    def _wrote(self, append: Callable[[Sequence[Change]], None], changes: Sequence[Change]) -> bool:
        lost = self._lost
        note = [] if lost == self._told_lost else [_of_loss(changes[-1].at, lost - self._told_lost)]
        try:
            append([*changes, *note])
        except OSError as error:
            self._tell(error.strerror or str(error))
            return False
        except Exception:
            _log.exception("the audit log failed")
            self._tell("it failed unexpectedly; the log tells more")
            return False
        self._told_lost = lost
        self._tell("")
        return True

    def _done(self, number: int) -> None:
        with self._news:
            for _ in range(number):
                self._waiting.popleft()
            self._written += number
            self._news.notify_all()

    def _given_up(self) -> bool:
        """Wait before the next try; tells whether this was the last one, made while closing, which loses what waits."""
        with self._news:
            if not self._closing:
                self._news.wait_for(lambda: self._closing, self._retry_s)
                return False
            self._lost += len(self._waiting)
        _log.error("%d entries of the audit log are lost: %s", len(self._waiting), self._problem)
        return True

    def _tell(self, problem: str) -> None:
        with self._news:
            was, self._problem = self._problem, problem
            self._news.notify_all()
        if problem and problem != was:
            _log.error("the audit log cannot be written: %s; entries wait, so make room or rights in the state directory soon", problem)
        elif was and not problem:
            _log.info("the audit log can be written again")


def _of_loss(at: str, lost: int) -> Change:
    return Change(at, SERVER, "", "audit log", "", f"{lost} entries were lost", "they could not be written, and too many waited")
