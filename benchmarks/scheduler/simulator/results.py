"""All that was run, and how."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from simulator.gates import Answers, Judged, judged
from simulator.plan import Plan
from simulator.special import Figure, Question

Pair = tuple[str, str]
"""A curve and a workload, by name."""


class Results(NamedTuple):
    """All that was run."""

    plan: Plan
    answers: Mapping[Pair, Answers]
    """By curve and workload."""
    asked: Sequence[tuple[Question, list[Figure]]]
    seconds: float
    jobs: int
    command: str

    def main(self) -> list[Judged]:
        """Return the verdicts of the main curves and workloads."""
        return self._judged(main=True)

    def others(self) -> list[Judged]:
        """Return the verdicts of all others."""
        return self._judged(main=False)

    def _judged(self, *, main: bool) -> list[Judged]:
        chosen = [(curve.name, workload.name) for curve, workload, is_main in self.plan.pairs() if is_main == main]
        return [line for pair in chosen for line in judged(*pair, self.answers[pair])]
