"""One metric as documentation and scrapes know it."""

from collections.abc import Iterable
from typing import Final, NamedTuple

Samples = Iterable[tuple[list[str], float]]
"""Values of the labels, and the figure."""

MODEL: Final = ("model", "version")


class Family(NamedTuple):
    """A metric's name, kind, labels and meaning."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
