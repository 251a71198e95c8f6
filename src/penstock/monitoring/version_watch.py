"""One version that is watched: what its predictions leave on the event loop, and how that is counted on a thread."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.route import branch_of
from penstock.domain.tensor import Tensor
from penstock.domain.ticket import Ticket
from penstock.monitoring.arm_comparison import ArmComparison
from penstock.monitoring.columns import Block
from penstock.monitoring.drift_watch import Crossing
from penstock.monitoring.side_watch import SideWatch

MOST_ROWS: Final = 4096
"""Rows that may wait to be counted; as a thread comes by once a second, also about the most that are counted in one."""
_MOST_BYTES: Final = 16 * 1024 * 1024


Seen = tuple[str, InferenceRequest, InferenceResponse]
"""One answered prediction, by reference, with its arm."""


class Told(NamedTuple):
    """What the end of a window has shown."""

    side: str
    arm: str
    """The branch: `stable` or `canary`."""
    crossings: Sequence[Crossing]


class VersionWatch:
    """Called with the answered predictions of each run, on the event loop; `count` belongs to one thread at a time."""

    def __init__(self, inputs: SideWatch, outputs: SideWatch, unwatched: Mapping[str, str]) -> None:
        """`unwatched` tells by input or output why it is not watched."""
        self.sides: Final = {"inputs": inputs, "outputs": outputs}
        self.unwatched: Final = unwatched
        self.dropped = 0
        """Predictions that were not looked at, since too many waited."""
        self._comparisons: tuple[tuple[ArmComparison, int, str], ...] = ()
        self._waiting: list[Seen] = []
        self._rows = 0
        self._bytes = 0

    def __call__(self, tickets: Sequence[Ticket]) -> None:
        """Keep what a run has answered until somebody counts; never waits, never raises."""
        if self._rows >= MOST_ROWS or self._bytes >= _MOST_BYTES:
            self.dropped += len(tickets)
            return
        seen = [(ticket.arm, ticket.request, ticket.response) for ticket in tickets if ticket.response is not None]
        self._waiting += seen
        for _, request, response in seen[:1]:  # the requests of a run agree in all but their rows
            rows = _rows(request.inputs)
            together = max(rows, response.batch_rows)
            self._rows += together
            self._bytes += together * sum([tensor.array.nbytes for tensor in (*request.inputs, *response.outputs)]) // max(1, rows)

    @property
    def is_on(self) -> bool:
        """Whether anybody wants to know what is predicted."""
        return bool(self._comparisons) or any(side.is_on for side in self.sides.values())

    def compare(self, comparison: ArmComparison, place: int, arm: str) -> None:
        """Have the outputs of an arm told to a comparison too, as the stable arm's (0) or the canary's (1)."""
        self._comparisons = (*self._comparisons, (comparison, place, arm))

    def end(self, comparison: ArmComparison) -> None:
        """Tell a comparison nothing any more."""
        self._comparisons = tuple(each for each in self._comparisons if each[0] is not comparison)

    def take(self) -> list[Seen]:
        """Return what waits, which is then the caller's; on the event loop."""
        taken, self._waiting = self._waiting, []
        self._rows = self._bytes = 0
        return taken

    def count(self, taken: Sequence[Seen]) -> list[Told]:
        """Count predictions; returns what the windows that have ended have shown."""
        told = [Told(*each) for arm, seen in _by_arm(taken).items() for each in self._count(arm, seen)]
        told += [Told(name, arm, crossings) for name, side in self.sides.items() for arm, crossings in side.tick()]
        return [each for each in told if each.crossings]

    def _count(self, arm: str, seen: Sequence[Seen]) -> Iterator[tuple[str, str, Sequence[Crossing]]]:
        side, branch = self.sides["inputs"], branch_of(arm)
        if side.is_on and (block := side.columns.block([request.inputs for _, request, _ in seen])):
            yield "inputs", branch, side.add(branch, block)
        side = self.sides["outputs"]
        if (side.is_on or self._comparisons) and (block := side.columns.block([response.outputs for _, _, response in seen])):
            self._compare(arm, block)
            yield "outputs", branch, side.add(branch, block)

    def _compare(self, arm: str, block: Block) -> None:
        columns = self.sides["outputs"].columns
        for comparison, place, name in self._comparisons:
            if name == arm:
                rows = columns.numbers(block)
                comparison.add(place, rows[:, [columns.names.index(feature) for feature in comparison.names]])


def _rows(inputs: Sequence[Tensor]) -> int:
    return len(inputs[0].array) if inputs and inputs[0].array.ndim else 1


def _by_arm(taken: Sequence[Seen]) -> dict[str, list[Seen]]:
    arms: dict[str, list[Seen]] = {}
    for seen in taken:
        arms.setdefault(seen[0], []).append(seen)
    return arms
