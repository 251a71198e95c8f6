"""The versions that follow a model's predictions."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shadow:
    """A version that is asked what others have answered."""

    version: str
    sample: float
