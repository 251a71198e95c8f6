"""The unit that a scheduler queues: a request, or a part of a long one."""

from collections.abc import Mapping
from typing import Final, Protocol

from penstock.domain.errors import PenstockError
from penstock.domain.request import NORMAL
from penstock.domain.tensor import Array

NEVER_NS: Final = 1 << 62
"""Later than any deadline."""
WAITING: Final = 0
RUNNING: Final = 1
GONE: Final = 2
"""Where a job is in its life. Plain integers: the queue compares them several times for each row."""


Shapes = tuple[tuple[str, tuple[int, ...]], ...]


class Key:
    """Jobs with equal keys may share a run."""

    __slots__ = ("_hash", "length", "outputs", "shapes")

    def __init__(self, outputs: tuple[str, ...], shapes: Shapes = (), length: int = 1) -> None:
        self.outputs = outputs
        """The outputs asked for."""
        self.shapes = shapes
        """The inputs given and their dimensions beyond the first; -1 where padding makes them equal."""
        self.length = length
        """The longest that a row may be: the length of its bucket. Rows that are never padded count as one element."""
        self._hash = hash((outputs, shapes, length))  # each request looks its line up

    def __repr__(self) -> str:
        return f"<Key {self.outputs} {self.shapes} {self.length}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.length == other.length and self.is_like(other)

    def __hash__(self) -> int:
        return self._hash

    def is_like(self, other: "Key") -> bool:
        """Tell whether they differ in their length at most."""
        return self.outputs == other.outputs and self.shapes == other.shapes


class Line(Protocol):
    """What a job stands in."""

    rows: int


class Party(Protocol):
    """Whoever is to have a fair part of a queue: a tenant."""

    weight: float
    """Its part against the parts of others."""


class Job:
    """Rows that run together or not at all."""

    __slots__ = (
        "cost",
        "deadline_ns",
        "due_ns",
        "error",
        "inputs",
        "key",
        "length",
        "line",
        "number",
        "party",
        "priority",
        "promised_ns",
        "queued_ns",
        "rows",
        "size_bytes",
        "state",
    )

    def __init__(
        self,
        inputs: Mapping[str, Array],
        rows: int,
        key: Key,
        *,
        length: int = 0,
        size_bytes: int = 0,
        due_ns: int = 0,
        deadline_ns: int = NEVER_NS,
        priority: int = NORMAL,
        party: Party | None = None,
    ) -> None:
        self.inputs = inputs
        self.rows = rows
        self.key = key
        self.length = length
        """The length of the rows where they may be padded to that of others; 0 where they may not."""
        self.cost = rows * key.length
        """The elements that the rows take in a run of their bucket; the rows themselves where they are never padded."""
        self.size_bytes = size_bytes
        self.due_ns = due_ns
        """When the answer should be there: orders the queue, never expires the job."""
        self.deadline_ns = deadline_ns
        """When nobody waits any more: the job expires, unless it is running."""
        self.priority = priority
        self.party = party
        """Whose part of the queue it takes; None where nobody is told apart."""
        self.state = WAITING
        self.number = 0
        """The order of arrival, which decides among equals."""
        self.queued_ns = 0
        self.promised_ns = 0
        """When its end was expected as it joined; 0 where nobody asked."""
        self.error: PenstockError | None = None
        """What the last run of the job failed with."""
        self.line: Line | None = None
        """Where the job stands; None once it has been taken."""
