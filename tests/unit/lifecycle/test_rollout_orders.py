"""What somebody may ask of a rollout that is under way, and what is written while nobody asks for anything."""

import asyncio

import pytest
from rollout_house import BASE, PLAN

from penstock.domain.errors import Conflict, Unavailable
from penstock.domain.route import Canary, Route
from penstock.lifecycle.kept_files import KeptFiles
from penstock.traffic.rollout import Action, Order, Phase

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("paused", [False, True])
async def test_promotion_on_request_is_the_end_of_the_rollout(house, paused):
    """Whatever is left of its steps; a model that had no route has none again, and knows the way back."""
    rollout = await house.rollouts.begin("m", PLAN)
    if paused:
        await house.rollouts.order("m", Order.PAUSE)

    await house.rollouts.promote("m")

    assert (rollout.state.phase, rollout.state.why) == (Phase.PROMOTED, "somebody promoted it at 10 %")
    assert house.kept() == rollout.record
    assert [event.after for event in house.model.events.latest() if event.what == "rollout"][-2:] == ["PROMOTING at 10 %", "PROMOTED"]
    assert (house.model.aliases["champion"], house.route, house.routes.previous("m")) == (2, None, "1")


async def test_look_while_a_promotion_takes_its_time_changes_nothing(house):
    """Between the alias and the route it would find another stable version than the one of the start."""
    rollout = await house.rollouts.begin("m", PLAN)
    house.promotions.quick.clear()
    promotion = asyncio.create_task(house.rollouts.promote("m", "challenger"))
    await house.promotions.moved.wait()
    look = asyncio.create_task(rollout.look(1))
    for _ in range(5):
        await asyncio.sleep(0)
    house.promotions.quick.set()
    await asyncio.gather(promotion, look)

    assert rollout.state.phase is Phase.PROMOTED


async def test_promotion_on_request_that_is_refused_pauses_with_the_reason(house):
    """Who asked hears it too."""
    rollout = await house.rollouts.begin("m", PLAN)
    house.promotions.refusal = Conflict("the registry is read-only")

    with pytest.raises(Conflict, match="not promoted, the rollout is PAUSED: the registry is read-only"):
        await house.rollouts.promote("m")

    assert (rollout.state.phase, house.weights()) == (Phase.PAUSED, [10])


async def test_other_canary_is_promoted_by_its_name(house):
    """It is none of the rollout's business before it has happened."""
    await house.put(Route(stable="champion", canaries=(Canary("b", "2", 20),)))
    await house.rollouts.begin("m", PLAN | {"canary": "3"})

    await house.rollouts.promote("m", "b")

    assert house.promotions.asked == ["promote b"]


@pytest.mark.parametrize("order", ["promote", "rollback"])
async def test_order_after_somebody_has_changed_the_route_is_for_theirs(house, order):
    """The rollout has stopped, even before the next look."""
    rollout = await house.rollouts.begin("m", PLAN)
    await house.put(Route(stable="champion", canaries=(Canary("theirs", "2", 40),)))

    await getattr(house.rollouts, order)("m")

    assert rollout.state.phase is Phase.STOPPED
    assert house.promotions.asked == [{"promote": "promote ", "rollback": "rollback"}[order]]
    assert house.route == BASE


async def test_rollback_aborts_the_rollout_and_goes_no_further(house):
    """The stable version is the one of before already."""
    rollout = await house.rollouts.begin("m", PLAN)

    await house.rollouts.rollback("m")

    assert (rollout.state.phase, rollout.state.why) == (Phase.ABORTED, "somebody asked for a rollback")
    assert (house.route, house.promotions.asked, house.model.aliases["champion"]) == (None, [], 1)


async def test_rollback_takes_other_canaries_along(house):
    """As it does without a rollout."""
    await house.put(Route(stable="champion", canaries=(Canary("b", "3", 20),)))
    rollout = await house.rollouts.begin("m", PLAN)

    await house.rollouts.rollback("m")

    assert (rollout.state.phase, house.route) == (Phase.ABORTED, BASE)


async def test_rollback_that_cannot_be_kept_says_so_and_is_tried_again(house):
    """Nobody may believe that the canary is gone."""
    rollout = await house.rollouts.begin("m", PLAN)
    house.disk.full = True
    with pytest.raises(Unavailable, match="tried again every second: the route cannot be kept"):
        await house.rollouts.rollback("m")
    assert (rollout.record.pending, house.weights()) == (Action.BACK_TO_STABLE, [10])
    with pytest.raises(Conflict, match="not promoted, the rollout is ABORTED"):
        await house.rollouts.promote("m")

    house.disk.full = False
    await rollout.look(1)

    assert (house.route, rollout.is_under_way) == (None, False)


async def test_without_a_rollout_under_way_the_route_has_the_say(house):
    """Also after one."""
    await house.rollouts.begin("m", PLAN)
    await house.rollouts.order("m", Order.ABORT)

    await house.rollouts.promote("m", "b")
    await house.rollouts.rollback("m")

    assert house.promotions.asked == ["promote b", "rollback"]


async def test_rollout_that_is_just_beginning_takes_no_orders(house):
    """Its canary is neither there nor not there."""
    house.rollouts._starting.add("m")

    for order in (house.rollouts.promote, house.rollouts.rollback):
        with pytest.raises(Conflict, match="just beginning"):
            await order("m")


async def test_server_that_has_not_taken_up_its_rollouts_refuses_to_answer_for_them(house):
    """What an earlier process has begun must not be overwritten, or missed, by who comes first."""
    await house.rollouts.begin("m", PLAN)
    starting = house.restarted()

    for ask in (
        lambda: starting.begin("m", PLAN),
        lambda: starting.order("m", Order.ABORT),
        lambda: starting.promote("m"),
        lambda: starting.rollback("m"),
    ):
        with pytest.raises(Unavailable, match="has not taken up its rollouts yet"):
            await ask()
    with pytest.raises(Unavailable, match="try again soon"):
        starting.of("m")

    await starting.start()
    assert starting.of("m").state.phase is Phase.HOLDING
    await starting.aclose()


async def test_looks_at_a_paused_rollout_leave_the_disk_alone(house):
    """It may be paused for a week."""
    rollout = await house.rollouts.begin("m", PLAN)
    await house.rollouts.order("m", Order.PAUSE)
    asked = house.store.asked

    for _ in range(5):
        await rollout.look(1)
    assert house.store.asked == asked

    await house.rollouts.order("m", Order.RESUME)
    assert (house.store.asked, house.kept().state.phase) == (asked + 1, Phase.HOLDING)


async def test_record_that_could_not_be_kept_is_kept_at_the_next_look(house, monkeypatch):
    """Although nothing has changed meanwhile."""
    rollout = await house.rollouts.begin("m", PLAN)
    with monkeypatch.context() as full:
        full.setattr(KeptFiles, "write", _fail)
        await house.rollouts.order("m", Order.PAUSE)
    assert house.kept().state.phase is Phase.HOLDING

    await rollout.look(1)

    assert house.kept().state.phase is Phase.PAUSED


def _fail(*_, **__):
    raise OSError(28, "No space left on device")
