"""The life of a rollout, as a table and one step through it."""

from enum import StrEnum
from typing import Final

import msgspec

from penstock.traffic.plan import RolloutPlan


class Phase(StrEnum):
    """Where a rollout is."""

    HOLDING = "HOLDING"
    """Serves the hold time of a step."""
    WAITING = "WAITING"
    """The hold time is over, and the numbers do not say enough yet: inconclusive, so the weight stays."""
    PAUSED = "PAUSED"
    """Stays at its weight until it is resumed; gates are judged all the same."""
    PROMOTING = "PROMOTING"
    """Every step is passed, or somebody would not wait for that; the canary is becoming the stable version."""
    PROMOTED = "PROMOTED"
    """The canary is the stable version."""
    ROLLED_BACK = "ROLLED_BACK"
    """A gate broke, or the rollout could not go on: all traffic is back with the stable version."""
    ABORTED = "ABORTED"
    """Somebody ended it: all traffic is back with the stable version."""
    STOPPED = "STOPPED"
    """Somebody changed the route meanwhile: it stays as they left it."""


_ENDS: Final = frozenset({Phase.ROLLED_BACK, Phase.ABORTED, Phase.STOPPED})
NEXT: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.HOLDING: frozenset({Phase.HOLDING, Phase.WAITING, Phase.PAUSED, Phase.PROMOTING}) | _ENDS,
    Phase.WAITING: frozenset({Phase.HOLDING, Phase.PAUSED, Phase.PROMOTING}) | _ENDS,
    Phase.PAUSED: frozenset({Phase.HOLDING, Phase.PROMOTING}) | _ENDS,
    Phase.PROMOTING: frozenset({Phase.PROMOTED, Phase.PAUSED}) | _ENDS,
    Phase.PROMOTED: frozenset(),
    Phase.ROLLED_BACK: frozenset(),
    Phase.ABORTED: frozenset(),
    Phase.STOPPED: frozenset(),
}
"""The legal steps. A rollout that has ended never goes on; the next one is another."""


class Order(StrEnum):
    """What somebody with the token may ask of a rollout."""

    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    PROMOTE = "promote"
    ROLL_BACK = "roll back"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a rollout has to remember."""

    plan: RolloutPlan
    phase: Phase = Phase.HOLDING
    step: int = 0
    """The place in `plan.steps`."""
    served_s: float = 0.0
    """Hold time of this step that has been served."""
    waited_s: float = 0.0
    """Time since then in which the numbers did not say enough."""
    why: str = ""
    """What led here."""

    @property
    def weight(self) -> float:
        """Percent of traffic in this step."""
        return self.plan.steps[self.step].weight

    @property
    def next_weight(self) -> float:
        """Percent of traffic after this step."""
        return 100.0 if self.is_last else self.plan.steps[self.step + 1].weight

    @property
    def is_last(self) -> bool:
        """Whether the canary becomes the stable version after this step."""
        return self.step + 1 >= len(self.plan.steps)

    @property
    def left_s(self) -> float:
        """Hold time of this step that is left."""
        return max(0.0, self.plan.steps[self.step].hold_s - self.served_s)

    @property
    def over(self) -> bool:
        """Whether the rollout has ended."""
        return not NEXT[self.phase]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """All that a step may look at."""

    passed_s: float = 0.0
    """Time since the last step was taken."""
    broken: str = ""
    """Why the canary must go back at once."""
    missing: str = ""
    """What has to be known before the next step."""
    foreign: str = ""
    """What somebody else has done to the route."""
    stranded: str = ""
    """Why the canary cannot go on, such as a version that is gone."""
    order: Order | None = None
    promoted: bool = False
    """The canary has become the stable version."""
    refused: str = ""
    """Why it could not become it."""


class Action(StrEnum):
    """What is to be done about it."""

    SET_WEIGHT = "set_weight"
    """Give the canary the weight of the state."""
    PROMOTE = "promote"
    BACK_TO_STABLE = "back_to_stable"


def entered(state: State, phase: Phase, why: str) -> State:
    """Return the state after a step of the table; raises `ValueError` for one that is not in it."""
    if phase not in NEXT[state.phase]:
        raise ValueError(f"a rollout cannot go from {state.phase} to {phase}")
    return msgspec.structs.replace(state, phase=phase, why=why)


def advance(state: State, view: View) -> tuple[State, tuple[Action, ...]]:
    """Return the next state and what is to be done; the same state and nothing where nothing follows from the view.

    What protects callers goes first: somebody's own change of the route, then a broken gate, then orders, then progress.
    """
    if state.over:
        return state, ()
    return _ended(state, view) or _ordered(state, view) or _gone_on(state, view)


_Stepped = tuple[State, tuple[Action, ...]]
_ENDED_BY: Final[dict[Order | None, str]] = {Order.ABORT: "somebody ended it", Order.ROLL_BACK: "somebody asked for a rollback"}


def _ended(state: State, view: View) -> _Stepped | None:
    if view.foreign:
        return entered(state, Phase.STOPPED, view.foreign), ()
    if view.promoted:
        return entered(state, Phase.PROMOTED, state.why), ()
    if reason := view.broken or view.stranded:
        return entered(state, Phase.ROLLED_BACK, reason), (Action.BACK_TO_STABLE,)
    if view.order in _ENDED_BY:
        return entered(state, Phase.ABORTED, _ENDED_BY[view.order]), (Action.BACK_TO_STABLE,)
    return None


def _ordered(state: State, view: View) -> _Stepped | None:
    if view.order is Order.PAUSE and state.phase in {Phase.HOLDING, Phase.WAITING}:
        return entered(state, Phase.PAUSED, "somebody paused it"), ()
    if view.order is Order.RESUME and state.phase is Phase.PAUSED:
        return entered(state, Phase.HOLDING, "somebody resumed it"), ()
    if view.order is Order.PROMOTE and state.phase is not Phase.PROMOTING:
        return entered(state, Phase.PROMOTING, f"somebody promoted it at {state.weight:g} %"), (Action.PROMOTE,)
    return None


def _gone_on(state: State, view: View) -> _Stepped:
    if state.phase is Phase.PAUSED:
        return state, ()
    if state.phase is Phase.PROMOTING:
        return (entered(state, Phase.PAUSED, view.refused), ()) if view.refused else (state, ())
    aged = _aged(state, view.passed_s)
    if aged.left_s > 0:
        return aged, ()
    if view.missing:
        return _waited(aged, view.missing)
    if state.is_last:
        return entered(aged, Phase.PROMOTING, "the last step is passed"), (Action.PROMOTE,)
    passed = entered(aged, Phase.HOLDING, f"the step of {state.weight:g} % is passed")
    return msgspec.structs.replace(passed, step=state.step + 1, served_s=0.0, waited_s=0.0), (Action.SET_WEIGHT,)


def _aged(state: State, passed_s: float) -> State:
    over_s = max(0.0, passed_s - state.left_s)
    return msgspec.structs.replace(state, served_s=state.served_s + passed_s - over_s, waited_s=state.waited_s + over_s)


def _waited(state: State, missing: str) -> _Stepped:
    give_up_s = state.plan.give_up_s
    if give_up_s is not None and state.waited_s >= give_up_s:
        return entered(state, Phase.ROLLED_BACK, f"no verdict after {state.waited_s:.0f} s: {missing}"), (Action.BACK_TO_STABLE,)
    if state.phase is Phase.WAITING:
        return msgspec.structs.replace(state, why=missing), ()
    return entered(state, Phase.WAITING, missing), ()
