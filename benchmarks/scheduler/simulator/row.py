"""What is served: a request of one or more rows, and what became of it."""

from typing import Final

NEVER: Final = 1 << 62
MS: Final = 1_000_000
SECOND: Final = 1_000_000_000

WAITING: Final = 0
RUNNING: Final = 1
ANSWERED: Final = 2
REFUSED: Final = 3
"""Turned away on arrival."""
DROPPED: Final = 4
"""Taken in, and given up before it ran."""
CANCELLED: Final = 5
FAILED: Final = 6


class Row:
    """A request. Times are integer nanoseconds of the simulation; a plain class, as a run makes a hundred thousand of them."""

    __slots__ = (
        "arrival_ns",
        "cancel_ns",
        "deadline_ns",
        "due_ns",
        "finish_ns",
        "length",
        "model",
        "number",
        "poison",
        "priority",
        "rows",
        "start_ns",
        "state",
    )

    def __init__(self, number: int, arrival_ns: int, due_ns: int, deadline_ns: int) -> None:
        self.number = number
        self.arrival_ns = arrival_ns
        self.due_ns = due_ns
        """When the answer should be there: later it is no goodput."""
        self.deadline_ns = deadline_ns
        """When nobody waits any more."""
        self.rows = 1
        self.priority = 1
        """0 is critical, 1 normal, 2 sheddable."""
        self.model = 0
        self.length = 0
        """Of the variable dimension; 0 where there is none."""
        self.cancel_ns = NEVER
        self.poison = False
        self.state = WAITING
        self.start_ns = 0
        self.finish_ns = 0

    def __repr__(self) -> str:
        return f"<Row {self.number}, {self.rows} rows, arrived {self.arrival_ns / MS:.3f} ms, state {self.state}>"

    def __lt__(self, other: "Row") -> bool:
        """Order as heaps need it: the earliest due first, first come first among equals."""
        return (self.due_ns, self.number) < (other.due_ns, other.number)
