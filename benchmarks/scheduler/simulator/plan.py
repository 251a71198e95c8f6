"""What the report runs: which cases, how long, and with how many seeds."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from simulator import curves, workloads
from simulator.catalogue import BOUND, POLICIES
from simulator.experiment import Case, Static
from simulator.special import QUESTIONS, Question, asked_of
from simulator.tuning import Tuning, tunings

HORIZONS_S: Final[Mapping[str, float]] = {"GPU-like": 1.4, "medium": 5.0, "CPU-like": 4.5}
"""Of simulated time: 4,500 to 8,600 rows at full load."""
_ROWS: Final = 4_000
"""At full load, for all other curves: their horizon follows."""
_SPECIAL_S: Final = {"recovery": 6.0, "poison": 12.0, "fairness": 6.0, "closed": 2.0, "estimator": 10.0}


class Plan(NamedTuple):
    """How much is run."""

    seeds: int = 10
    other_seeds: int = 2
    part: float = 1.0
    """Of the horizons."""
    rest: bool = True
    """Whether curves and workloads are run that are not among the main ones."""

    def horizon_s(self, curve: curves.Curve) -> float:
        """Return how long a curve is simulated."""
        return self.part * HORIZONS_S.get(curve.name, _ROWS / curve.capacity)

    def pairs(self) -> Iterator[tuple[curves.Curve, workloads.Workload, bool]]:
        """Yield curves with workloads, and whether they are among the main ones."""
        for curve in curves.MAIN:
            yield from ((curve, workload, True) for workload in workloads.MAIN)
        if not self.rest:
            return
        for curve in curves.MAIN:
            yield from ((curve, workload, False) for workload in workloads.OTHERS)
        for curve in curves.OTHERS:
            yield from ((curve, workload, False) for workload in (workloads.MAIN[0], workloads.MAIN[2]))

    def tunings(self) -> list[Tuning]:
        """Return what the static baseline is tuned for."""
        return [tuning for curve, workload, _ in self.pairs() for tuning in tunings(curve.name, workload.name, self.horizon_s(curve))]

    def cases(self, statics: Mapping[tuple[str, str], tuple[tuple[float, Static], ...]]) -> list[Case]:
        """Return all cases."""
        return [case for pair in self.pairs() for case in self._cases(*pair, statics)]

    def questions(self) -> list[Question]:
        """Return the questions that need measurements of their own."""
        return [
            Question(name, policy, seed, self.part * _SPECIAL_S[name])
            for name in QUESTIONS
            for policy in asked_of(name)
            for seed in range(self.other_seeds)
        ]

    def _cases(
        self,
        curve: curves.Curve,
        workload: workloads.Workload,
        main: bool,  # noqa: FBT001 - one of the three that come together
        statics: Mapping[tuple[str, str], tuple[tuple[float, Static], ...]],
    ) -> Iterator[Case]:
        for policy in (*POLICIES, BOUND):
            for seed in range(self.seeds if main else self.other_seeds):
                yield Case(curve.name, workload.name, policy, seed, self.horizon_s(curve), statics[curve.name, workload.name])


QUICK: Final = Plan(seeds=2, other_seeds=1, part=0.08, rest=False)
