"""Files of keys and certificates, looked at again and again: what changes there comes into force while the server serves."""

import asyncio
import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeVar

_log = logging.getLogger(__name__)
_PAUSE_S: Final = 0.25
"""A key that is revoked is refused within a second."""

T = TypeVar("T")


class Reloaded(NamedTuple):
    """Files whose content is in force now."""

    what: str
    before: str
    """What is not there any more, as far as that can be told."""
    after: str


Apply = Callable[[], Reloaded]
_Job = Callable[[], Awaitable[None]]


class _Seen(NamedTuple):
    changed_ns: int
    touched_ns: int
    """Moves whatever happens to the file, its rights included."""
    inode: int
    size: int


class Watched(Generic[T]):
    """One or more files and what is made of them. What cannot be used is logged and changes nothing: the last good content stays."""

    def __init__(self, what: str, paths: Sequence[Path], read: Callable[[], T], apply: Callable[[T], tuple[str, str] | None]) -> None:
        """Have `read` run on a thread, where it may raise `OSError` or `ValueError`; `apply` runs on the event loop.

        What `apply` returns are two texts, if anything: what went and what came.
        """
        self._what = what
        self._paths = paths
        self._read = read
        self._apply = apply
        self._seen = self._unread = self._look()
        """The files whose content is in force or was bad, and those that could not be read lately."""

    def fresh(self) -> Apply | None:
        """Return what brings changed files into force; None if they have not changed or cannot be used. May block."""
        seen = self._look()
        if seen == self._seen:
            return None
        try:
            content = self._read()
        except (OSError, ValueError) as error:
            if seen != self._unread:
                _log.error("the %s changed and cannot be used; what was read before stays in force: %s", self._what, error)
            self._unread = seen
            if not _may_pass(error):
                self._seen = seen
            return None
        self._seen = self._unread = seen
        return lambda: self._apply_logged(content)

    def _apply_logged(self, content: T) -> Reloaded:
        told = self._apply(content)
        _log.info("the %s changed and is in force", self._what)
        return Reloaded(self._what, *(told or ("", "")))

    def _look(self) -> tuple[_Seen | None, ...]:
        return tuple(map(_seen, self._paths))


class Reloader:
    """Looks at files four times a second, at each by itself: none keeps others waiting, or what has an end. Lives on the event loop."""

    def __init__(self) -> None:
        self.watched: Final[list[Watched[Any]]] = []
        """The files that are looked at."""
        self.heard: Callable[[Reloaded], None] = lambda _: None
        """Is told of what has come into force."""
        self.each_time: Final[list[Callable[[], None]]] = []
        """What else is done as often, whatever becomes of the files."""
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to look, if there is anything to look at."""
        if self.watched:
            jobs: list[_Job] = [self._act, *(partial(self._look, watched) for watched in self.watched)]
            self._tasks = [asyncio.create_task(_repeated(job)) for job in jobs]

    async def aclose(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look(self, watched: Watched[Any]) -> None:
        if (apply := await asyncio.to_thread(watched.fresh)) is not None:
            self.heard(apply())

    async def _act(self) -> None:
        for action in self.each_time:
            action()


async def _repeated(job: _Job) -> None:
    while True:
        await asyncio.sleep(_PAUSE_S)
        try:
            await job()
        except Exception:
            _log.exception("keys and certificates could not be looked at")


def _may_pass(error: Exception) -> bool:
    """Tell whether reading the same files again may succeed: nothing is wrong with them, as when no file can be opened for a while."""
    return isinstance(error, OSError) and not isinstance(error, ssl.SSLError)


def _seen(path: Path) -> _Seen | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - half the time of Path.stat, four times a second
    except OSError:
        return None
    return _Seen(status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size)
