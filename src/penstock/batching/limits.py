"""The bounds that a scheduler keeps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much may run at once, and how much may wait."""

    max_rows: int
    """The most rows of one run."""
    queue_rows: int | None = None
    """The most rows that may wait, beyond what free lanes take at once; None derives it from the target and the measured speed."""
    queue_bytes: int = 1 << 62
    """The most bytes of input that may wait."""
    together: bool = True
    """Whether several requests may share a run."""
    adaptive: bool = True
    """Whether runs stay at the size that measurement shows to be best; otherwise they take up to `max_rows`."""
    spill: bool = True
    """Whether a device that is not the first may run what the first could not end in time."""
    max_elements: int | None = None
    """The most elements of one run, padding included; None where nothing is padded."""
