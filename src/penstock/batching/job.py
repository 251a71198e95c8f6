"""The unit that a scheduler queues: a request, or a part of a long one."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple, Protocol

from penstock.domain.batch import Run
from penstock.domain.errors import PenstockError
from penstock.domain.request import NORMAL
from penstock.domain.tensor import Array
from penstock.domain.ticket import Ticket


class Key(NamedTuple):
    """Jobs with equal keys may share a run."""

    outputs: tuple[str, ...]
    """The outputs asked for."""
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """The inputs given and their dimensions beyond the first."""


class Owner(Protocol):
    """What a job is a part of, and what hears of its fate; a scheduler never looks at it."""

    ticket: Ticket

    def started(self, now_ns: int) -> None:
        """Hear that the job runs."""

    def finished(self, job: "Job", outputs: list[Array], run: Run, batch_rows: int, now_ns: int) -> Ticket | None:
        """Take the job's outputs; returns the ticket if it now has an answer to deliver."""

    def failed(self, error: PenstockError) -> None:
        """Hear that the job will have no outputs."""


class JobState(Enum):
    """Where a job is in its life."""

    WAITING = 0
    RUNNING = 1
    GONE = 2


class Job:
    """Rows that run together or not at all."""

    __slots__ = ("deadline_ns", "due_ns", "inputs", "key", "outputs", "priority", "rows", "size_bytes", "state", "work")

    def __init__(
        self,
        inputs: Mapping[str, Array],
        rows: int,
        key: Key,
        *,
        size_bytes: int = 0,
        due_ns: int = 0,
        deadline_ns: int = 1 << 62,
        priority: int = NORMAL,
        work: "Owner | None" = None,
    ) -> None:
        self.inputs = inputs
        self.rows = rows
        self.key = key
        self.size_bytes = size_bytes
        self.due_ns = due_ns
        """When the answer should be there: orders the queue, never expires the job."""
        self.deadline_ns = deadline_ns
        """When nobody waits any more: the job expires, unless it is running."""
        self.priority = priority
        self.work = work
        self.state = JobState.WAITING
        self.outputs: list[Array] = []
