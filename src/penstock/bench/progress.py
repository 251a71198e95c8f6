"""A live line on the terminal while a run goes on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from penstock.bench import messages
from penstock.bench.run import ignore
from penstock.bench.workers import Watch
from penstock.domain.clock import NS_PER_S, monotonic


@contextmanager
def watching(title: str, span_s: float) -> Iterator[Watch]:
    """Yield what shows the progress of one round of that length on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield ignore
        return
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[seen]}")
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _Line(bar, bar.add_task(title, total=span_s, seen="")).show


class _Line:
    """One task of a bar, moved by the clock."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task
        self._start_ns = monotonic()

    def show(self, progress: messages.Progress) -> None:
        """Show how far it has come."""
        seen = f"{progress.answered:,} answered, {progress.failed:,} failed, {progress.outstanding:,} under way"
        self._bar.update(self._task, completed=(monotonic() - self._start_ns) / NS_PER_S, seen=seen)
