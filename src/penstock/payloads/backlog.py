"""What a sink has taken and not yet got rid of."""

from collections import Counter
from typing import Final


class Backlog:
    """Counts rows: recovered + taken = written + dropped + waiting, always. Each counter has one thread that writes it."""

    def __init__(self) -> None:
        self.recovered = 0
        """Rows that an earlier process has left."""
        self.taken = 0
        """Rows that this process has added; the writer's."""
        self.written = 0
        """Rows that their destination has confirmed; the courier's."""
        self.is_up = True
        """Whether the destination took what it was last sent."""
        self.size_bytes = 0
        """What waits on the disk."""
        self.overflowed: Final[Counter[str]] = Counter()
        """Rows that gave way, or could not be kept, by reason; the writer's."""
        self.refused: Final[Counter[str]] = Counter()
        """Rows that could not be sent and never will be, by reason; the courier's."""

    @property
    def dropped(self) -> Counter[str]:
        """Rows that are lost, by reason."""
        return Counter(dict(self.overflowed)) + Counter(dict(self.refused))  # copies: another thread may find a new reason meanwhile

    @property
    def waiting(self) -> int:
        """Rows that are neither written nor lost."""
        return self.recovered + self.taken - self.written - self.dropped.total()
