"""Rollouts on a virtual clock: made-up traffic for the real judge and the real table of steps.

Stands alone, so that tests load it by its path.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from penstock.telemetry.statistics import SPREAD_EDGES_NS
from penstock.traffic.judge import Judge
from penstock.traffic.plan import RolloutPlan
from penstock.traffic.rollout import Action, Phase, State, View, advance
from penstock.traffic.share import Share
from penstock.traffic.span import ArmSpan, Span

_P99_Z: Final = 2.3263
_LOADS: Final = 24


@dataclass(frozen=True)
class World:
    """Traffic, and what is the matter with the canary."""

    rate: float = 100.0
    """Requests a second, of both arms."""
    errors: float = 0.001
    """Share of errors of both arms."""
    extra_errors: float = 0.0
    """Share of further errors of the canary."""
    p99_ms: float = 20.0
    """Of both arms, at no load."""
    sigma: float = 0.5
    """Width of the log-normal times."""
    slower: float = 1.0
    """Times of the canary as a multiple."""
    restless: float = 0.0
    """How far load comes and goes, in both arms alike: 1 doubles times and errors, and halves them again."""
    clump: int = 1
    """How many requests of one look share their fate, such as those of one stall; only for arms that are equal."""
    sticky: bool = False
    """Whether requests that share their fate reach the same arm, as those of one user do on a sticky route."""
    look_s: float = 5.0
    """Time between looks."""
    plan: RolloutPlan = field(default_factory=lambda: RolloutPlan(canary="2"))
    patience_s: float = 4 * 3600.0
    """When the simulation ends, whatever has become of the rollout."""


class Ending(NamedTuple):
    """What has become of a rollout."""

    phase: Phase
    after_s: float
    responses: int
    canary_responses: int
    bad: int
    """The canary's errors, and its answers that were slower than the stable arm's p99 of the time."""
    why: str

    @property
    def bad_share(self) -> float:
        """Bad responses among all since the start."""
        return self.bad / max(1, self.responses)


def simulate(world: World, seed: int) -> Ending:
    """Return how one rollout ends."""
    return _Simulation(world, np.random.default_rng(seed)).run()


class _Simulation:
    def __init__(self, world: World, rng: np.random.Generator) -> None:
        self._world = world
        self._rng = rng
        self._phase = rng.uniform(0, 2 * math.pi)
        self._judge = Judge(world.plan.gates, SPREAD_EDGES_NS, sticky=world.sticky)
        self._responses = self._canary = self._bad = 0

    def run(self) -> Ending:
        """Look and step until the rollout is over."""
        state, now = State(plan=self._world.plan), 0.0
        while not state.over and state.phase is not Phase.PROMOTING and now < self._world.patience_s:
            now += self._world.look_s
            self._judge.take(self._span(state.weight / 100, now))
            broken = self._judge.broken(state.weight)
            missing = self._judge.missing(state.next_weight) if state.left_s <= self._world.look_s else ""
            state, actions = advance(state, View(passed_s=self._world.look_s, broken=broken, missing=missing))
            if Action.SET_WEIGHT in actions:
                self._judge.begin_step()
        return Ending(state.phase, now, self._responses, self._canary, self._bad, state.why)

    def _span(self, weight: float, now: float) -> Span:
        world = self._world
        load = math.exp(world.restless * math.log(2) * math.sin(self._phase + now / 600 * 2 * math.pi))
        load = 2 ** (round(math.log2(load) * _LOADS) / _LOADS)
        ends = int(self._rng.poisson(world.rate * world.look_s))
        canary = int(self._rng.binomial(ends, weight))
        errors = min(1.0, world.errors * load)
        if world.clump > 1 and not world.sticky:
            canary_arm, stable_arm = self._split(self._arm(ends, errors, load), canary)
        else:
            stable_arm = self._arm(ends - canary, errors, load)
            canary_arm = self._arm(canary, min(1.0, errors + world.extra_errors), load * world.slower)
        self._responses += ends
        self._canary += canary
        self._bad += canary_arm.bad["errors"] + self._slow(canary_arm.times, load)
        return Span(stable_arm, canary_arm, Share())

    def _arm(self, ends: int, errors: float, factor: float) -> ArmSpan:
        clump = self._world.clump
        bad = int(self._rng.binomial(ends, errors)) if clump == 1 else min(ends, clump * int(self._rng.binomial(ends // clump, errors)))
        ends -= ends % clump
        times = self._rng.multinomial(ends // clump, _buckets(self._world.p99_ms * factor, self._world.sigma)) * clump
        return ArmSpan(ends, {"errors": bad}, tuple(times.tolist()))

    def _split(self, both: ArmSpan, canary: int) -> tuple[ArmSpan, ArmSpan]:
        """Return what falls to the canary and to the stable arm when every request goes its own way."""
        canary = min(canary, both.ends)
        bad = int(self._rng.hypergeometric(both.bad["errors"], both.ends - both.bad["errors"], canary)) if both.ends else 0
        times = self._rng.multivariate_hypergeometric(both.times, canary, method="marginals").tolist()
        rest = tuple(all_of - some for all_of, some in zip(both.times, times, strict=True))
        return (
            ArmSpan(canary, {"errors": bad}, tuple(times)),
            ArmSpan(both.ends - canary, {"errors": both.bad["errors"] - bad}, rest),
        )

    def _slow(self, times: tuple[int, ...], load: float) -> int:
        p99_ns = self._world.p99_ms * load * 1e6
        return sum(count for edge, count in zip((0, *SPREAD_EDGES_NS), times, strict=True) if edge >= p99_ns)


@lru_cache(maxsize=4096)
def _buckets(p99_ms: float, sigma: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    middle = math.log(p99_ms * 1e6) - _P99_Z * sigma
    below = [0.5 * (1 + math.erf((math.log(edge) - middle) / sigma / math.sqrt(2))) for edge in SPREAD_EDGES_NS]
    return np.diff([0.0, *below, 1.0])


def share_of(endings: list[Ending], holds: Callable[[Ending], bool]) -> float:
    """Return the share of endings of which something holds."""
    return sum(map(holds, endings)) / len(endings)
