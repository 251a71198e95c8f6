"""The bounds that a scheduler keeps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much may run at once, and how much may wait."""

    max_rows: int
    """The most rows of one run."""
    queue_rows: int
    """The most rows that may wait, beyond what free lanes take at once."""
    queue_bytes: int
    """The most bytes of input that may wait."""
    together: bool = True
    """Whether several requests may share a run."""
