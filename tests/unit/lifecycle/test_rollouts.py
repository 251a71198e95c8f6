"""Rollouts over a catalog made by hand: what goes wrong around them, and what is on the disk by then."""

import pytest
from msgspec.structs import replace
from rollout_house import PLAN

from penstock.domain.errors import Conflict
from penstock.domain.route import Canary, Route, Shadow
from penstock.traffic.rollout import Action, Order, Phase
from penstock.traffic.share import Share


@pytest.mark.asyncio
async def test_rollout_goes_through_all_its_steps(house):
    """With a record on the disk that says the same at every look."""
    rollout = await house.rollouts.begin("m", PLAN)
    assert house.weights() == [10]

    for weight in (10, 50):
        house.serve(30)
        await rollout.look(4)
        assert (house.weights(), rollout.state.left_s) == ([weight], 1)
        assert house.kept().state == rollout.state
        await rollout.look(1)

    assert rollout.state.phase is Phase.PROMOTED
    assert house.model.aliases["champion"] == 2
    assert house.kept() == rollout.record
    assert [verdict.gate for verdict in house.kept().verdicts] == ["errors", "refusals", "rejections"]


@pytest.mark.asyncio
async def test_canary_goes_back_at_the_first_look_after_it_has_failed(house):
    """Whatever is left of the step; a model that had no route has none again."""
    rollout = await house.rollouts.begin("m", PLAN)
    house.serve(30, "MODEL_FAILED")

    await rollout.look(0.1)

    assert rollout.state.phase is Phase.ROLLED_BACK
    assert house.route is None
    assert house.model.events.latest()[-1].why == rollout.state.why


@pytest.mark.asyncio
async def test_going_back_that_is_refused_is_tried_at_every_look_and_after_a_restart(house, caplog):
    """Nothing is forgotten: what was decided is on the disk before it is done."""
    rollout = await house.rollouts.begin("m", PLAN)
    house.serve(30, "MODEL_FAILED")
    house.disk.full = True
    await rollout.look(1)
    assert (rollout.state.phase, house.kept().pending, house.weights()) == (Phase.ROLLED_BACK, Action.BACK_TO_STABLE, [10])

    await rollout.look(1)
    assert caplog.text.count("back_to_stable has to wait: the route cannot be kept in the state directory") == 1

    restarted = house.restarted()
    await restarted.start()
    await restarted.of("m").look(1)
    assert house.weights() == [10]
    house.disk.full = False
    await restarted.of("m").look(1)

    assert house.route is None
    assert not restarted.of("m").is_under_way
    await restarted.aclose()


@pytest.mark.asyncio
async def test_going_back_leaves_a_route_that_somebody_has_put_before_it_was_done(house):
    """Theirs is the later word."""
    rollout = await house.rollouts.begin("m", PLAN)
    house.serve(30, "MODEL_FAILED")
    house.disk.full = True
    await rollout.look(1)
    house.disk.full, theirs = False, Route(stable="3")
    await house.put(theirs)

    await rollout.look(1)

    assert (house.route, rollout.is_under_way) == (theirs, False)


@pytest.mark.asyncio
async def test_weight_that_the_route_does_not_take_serves_no_hold_time(house):
    """The step has not begun for anybody."""
    rollout = await house.rollouts.begin("m", PLAN)
    house.serve(30)
    house.disk.full = True
    await rollout.look(5)
    await rollout.look(100)
    assert (rollout.state.step, rollout.state.served_s, house.weights()) == (1, 0, [10])

    house.disk.full = False
    await rollout.look(1)

    assert (rollout.state.served_s, house.weights()) == (1, [50])


@pytest.mark.asyncio
async def test_promotion_that_is_refused_pauses_with_the_reason_and_resumes(house):
    """As with a registry that takes no changes from here."""
    rollout = await house.rollouts.begin("m", PLAN | {"steps": [{"weight": 50, "hold_s": 0}]})
    house.serve(30)
    house.promotions.refusal = Conflict("the registry is read-only")
    await rollout.look(1)
    assert (rollout.state.phase, rollout.state.why, house.weights()) == (Phase.PAUSED, "the registry is read-only", [50])

    house.promotions.refusal = None
    await house.rollouts.order("m", Order.RESUME)
    await rollout.look(1)

    assert rollout.state.phase is Phase.PROMOTED


@pytest.mark.asyncio
async def test_promotion_that_was_half_done_when_the_server_died_is_finished(house):
    """The alias had moved, the route had not."""
    rollout = await house.rollouts.begin("m", PLAN | {"steps": [{"weight": 50, "hold_s": 0}]})
    house.serve(30)
    house.promotions.refusal = Conflict("died here")
    await rollout.look(1)
    house.store.keep(replace(rollout.record, state=replace(rollout.state, phase=Phase.PROMOTING), pending=Action.PROMOTE))
    house.move("champion", 2)

    restarted = house.restarted()
    await restarted.start()
    await restarted.of("m").look(1)

    assert restarted.of("m").state.phase is Phase.PROMOTED
    assert (house.route, house.routes.previous("m")) == (None, "1")  # the way back is known
    await restarted.aclose()


@pytest.mark.asyncio
async def test_promotion_in_the_route_that_was_done_when_the_server_died_stays(house):
    """A route whose stable version is a number has changed already."""
    await house.put(Route(stable="1"))
    rollout = await house.rollouts.begin("m", PLAN | {"steps": [{"weight": 50, "hold_s": 0}]})
    house.store.keep(replace(rollout.record, state=replace(rollout.state, phase=Phase.PROMOTING), pending=Action.PROMOTE))
    await house.put(Route(stable="2"))

    restarted = house.restarted()
    await restarted.start()
    await restarted.of("m").look(1)

    assert restarted.of("m").state.phase is Phase.PROMOTED
    assert house.route == Route(stable="2")
    await restarted.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda model: model.aliases.update(champion=3), "the stable version has become 3, it was 1"),
        (lambda model: setattr(model.versions[2], "ready", False), "version 2 is not ready any more"),
        (lambda model: setattr(model.versions[1], "ready", False), "the stable version cannot be told"),
    ],
    ids=["stable-moved", "canary-gone", "stable-gone"],
)
async def test_rollout_goes_back_when_one_of_its_versions_goes_away(house, change, why):
    """There is nothing left to compare."""
    rollout = await house.rollouts.begin("m", PLAN)
    change(house.model)
    house.model.forget()

    await rollout.look(1)

    assert rollout.state.phase is Phase.ROLLED_BACK
    assert why in rollout.state.why
    assert house.route is None


@pytest.mark.asyncio
async def test_route_that_somebody_has_put_stays_although_the_canary_fails(house):
    """The rollout is over and touches nothing."""
    rollout = await house.rollouts.begin("m", PLAN)
    theirs = Route(stable="champion", canaries=(Canary("theirs", "3", 40),))
    await house.put(theirs)
    house.serve(30, "MODEL_FAILED")

    await rollout.look(1)

    assert rollout.state.phase is Phase.STOPPED
    assert house.route == theirs


@pytest.mark.asyncio
async def test_disagreement_of_the_canary_as_a_shadow_breaks_its_gate(house):
    """What was compared before the rollout does not count."""
    await house.put(Route(stable="champion", shadows=(Shadow("challenger"),)))
    rollout = await house.rollouts.begin("m", PLAN | {"gates": {"disagreement": {"max": 0.01}}})
    await rollout.look(1)
    assert "0 of 0 requests of the canary" in rollout.verdicts()[-1].why

    house.compared = Share(25, 100)
    await rollout.look(1)

    assert rollout.state.phase is Phase.ROLLED_BACK
    assert "disagreement: 20 of 50 requests" in rollout.state.why
