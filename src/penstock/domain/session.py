"""The seam between Penstock and whatever executes a graph."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from penstock.domain.halt import Halt
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Array


class Session(Protocol):
    """A loaded graph. `run` may be called from several threads at once; nothing is called after `close`."""

    @property
    def schema(self) -> ModelSchema:
        """What the graph takes and gives."""

    @property
    def placement(self) -> Mapping[str, float]:
        """Share of the graph's nodes by execution provider kind, such as {"cpu": 1.0}."""

    def run(
        self,
        inputs: Mapping[str, Array],
        outputs: Sequence[str],
        limit_s: float | None = None,
        halt: Halt | None = None,
        *,
        again: bool = False,
    ) -> list[Array]:
        """Return the named outputs; `again` tells that these rows were in a run that has failed.

        Blocks; call it off the event loop. Raises `ModelFailed` if the graph fails or `halt` was asked,
        `OutOfMemory` if the device has too little, `DeadlineExceeded` after `limit_s` seconds, `Unavailable` while nothing can run.
        """

    def shrink(self, inputs: Mapping[str, Array], outputs: Sequence[str], halt: Halt | None = None) -> list[Array]:
        """Run as `run` does, and after it give the memory back that the engine kept for larger runs."""

    def close(self) -> None:
        """Free the graph's memory."""
