"""The table of a rollout, and what protects callers going first."""

import msgspec
import pytest

from penstock.traffic.plan import RolloutPlan, Step
from penstock.traffic.rollout import NEXT, Action, Order, Phase, State, View, advance, entered

PLAN = RolloutPlan(canary="2", steps=(Step(weight=1, hold_s=10), Step(weight=50, hold_s=10)), give_up_s=100)


def state(phase=Phase.HOLDING, **more):
    """Return a state of the plan."""
    return State(plan=PLAN, phase=phase, **more)


def test_a_step_holds_until_its_time_is_served():
    """Time is counted, nothing is done."""
    after, actions = advance(state(), View(passed_s=4))

    assert (after.phase, after.served_s, after.left_s, actions) == (Phase.HOLDING, 4, 6, ())


def test_a_served_step_with_good_numbers_goes_up():
    """The time of the next step starts at zero."""
    after, actions = advance(state(served_s=9), View(passed_s=1))

    assert (after.phase, after.step, after.weight, after.served_s) == (Phase.HOLDING, 1, 50, 0)
    assert actions == (Action.SET_WEIGHT,)


def test_a_served_step_without_enough_numbers_waits_and_goes_up_once_they_are_there():
    """Inconclusive means hold."""
    waiting, nothing = advance(state(served_s=9), View(passed_s=1, missing="too few requests"))
    after, actions = advance(waiting, View(passed_s=1))

    assert (waiting.phase, waiting.why, nothing) == (Phase.WAITING, "too few requests", ())
    assert (after.step, actions) == (1, (Action.SET_WEIGHT,))


def test_waiting_ends_where_the_plan_gives_up():
    """And the reason says what was missing."""
    after, actions = advance(state(Phase.WAITING, served_s=10, waited_s=99), View(passed_s=1, missing="too few requests"))

    assert (after.phase, actions) == (Phase.ROLLED_BACK, (Action.BACK_TO_STABLE,))
    assert after.why == "no verdict after 100 s: too few requests"


def test_waiting_without_an_end_goes_on_for_ever():
    """Which is the default."""
    patient = msgspec.structs.replace(state(served_s=10), plan=msgspec.structs.replace(PLAN, give_up_s=None))

    assert advance(patient, View(passed_s=1e6, missing="too few requests"))[0].phase is Phase.WAITING


def test_the_last_step_promotes_and_the_promotion_ends_the_rollout():
    """The state says so only once it is true."""
    promoting, actions = advance(state(step=1, served_s=10), View(passed_s=1))
    promoted, nothing = advance(promoting, View(promoted=True))

    assert (promoting.phase, actions) == (Phase.PROMOTING, (Action.PROMOTE,))
    assert (promoted.phase, nothing, promoted.over) == (Phase.PROMOTED, (), True)


def test_a_promotion_that_is_refused_pauses_and_can_be_tried_again():
    """Nothing is lost: the canary is good."""
    paused, _ = advance(state(Phase.PROMOTING, step=1, served_s=10), View(refused="the registry is read-only"))
    resumed, _ = advance(paused, View(order=Order.RESUME))
    again, actions = advance(resumed, View(passed_s=1))

    assert (paused.phase, paused.why) == (Phase.PAUSED, "the registry is read-only")
    assert (again.phase, actions) == (Phase.PROMOTING, (Action.PROMOTE,))


@pytest.mark.parametrize("phase", [Phase.HOLDING, Phase.WAITING, Phase.PAUSED, Phase.PROMOTING])
def test_a_broken_gate_goes_back_at_once_whatever_is_going_on(phase):
    """Also while paused."""
    after, actions = advance(state(phase), View(passed_s=100, broken="errors"))

    assert (after.phase, after.why, actions) == (Phase.ROLLED_BACK, "errors", (Action.BACK_TO_STABLE,))


def test_a_foreign_route_is_left_alone_even_where_a_gate_is_broken():
    """Whoever has put it knows more than the rollout."""
    after, actions = advance(state(), View(foreign="somebody has put another route", broken="errors"))

    assert (after.phase, actions) == (Phase.STOPPED, ())


def test_time_stands_still_while_paused():
    """The hold time goes on where it stopped."""
    paused, _ = advance(state(served_s=5), View(order=Order.PAUSE))
    later, _ = advance(paused, View(passed_s=1000))
    resumed, _ = advance(later, View(order=Order.RESUME))

    assert (later.phase, later.served_s) == (Phase.PAUSED, 5)
    assert (resumed.phase, resumed.left_s) == (Phase.HOLDING, 5)


def test_an_abort_goes_back_to_stable():
    """Also while paused; a rollback is one, and says so."""
    assert advance(state(Phase.PAUSED), View(order=Order.ABORT))[1] == (Action.BACK_TO_STABLE,)

    after, actions = advance(state(), View(order=Order.ROLL_BACK))
    assert (after.phase, after.why, actions) == (Phase.ABORTED, "somebody asked for a rollback", (Action.BACK_TO_STABLE,))


@pytest.mark.parametrize("phase", [Phase.HOLDING, Phase.WAITING, Phase.PAUSED])
def test_an_order_promotes_from_every_phase(phase):
    """Whatever is left of the step: the reason says at which weight, to the end."""
    promoting, actions = advance(state(phase), View(order=Order.PROMOTE))
    promoted, _ = advance(promoting, View(promoted=True))

    assert (promoting.phase, actions) == (Phase.PROMOTING, (Action.PROMOTE,))
    assert (promoted.phase, promoted.why) == (Phase.PROMOTED, "somebody promoted it at 1 %")


@pytest.mark.parametrize("phase", [phase for phase, following in NEXT.items() if not following])
def test_what_is_over_stays_over(phase):
    """Whatever is asked of it."""
    ended = state(phase)

    assert advance(ended, View(broken="errors", order=Order.ABORT, passed_s=9)) == (ended, ())


def test_a_step_that_is_not_in_the_table_is_refused():
    """As for the life of a version."""
    with pytest.raises(ValueError, match="cannot go from PAUSED to WAITING"):
        entered(state(Phase.PAUSED), Phase.WAITING, "")
