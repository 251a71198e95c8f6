"""Which rollouts may begin, what they begin with, and which are resumed."""

import asyncio

import pytest
from rollout_house import PLAN

from penstock.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from penstock.domain.route import Canary, Route
from penstock.lifecycle.catalog import Catalog
from penstock.traffic.rollout import Order, Phase


@pytest.mark.asyncio
async def test_model_without_champion_keeps_a_route_so_that_its_highest_version_does_not_answer(house):
    """Which may be the canary that has just failed."""
    house.model.aliases.clear()
    rollout = await house.rollouts.begin("m", PLAN | {"canary": "2"})
    assert (rollout.record.stable, rollout.record.arm) == ("3", "canary")

    await house.rollouts.order("m", Order.ABORT)

    assert house.route == Route(stable="3")


@pytest.mark.asyncio
async def test_other_canaries_of_the_route_stay_and_a_canary_of_the_route_is_taken_over(house):
    """By its name, with the version that it names."""
    await house.put(Route(stable="1", canaries=(Canary("b", "3", 20), Canary("new", "2", 3))))

    rollout = await house.rollouts.begin("m", PLAN | {"canary": "new"})

    assert (rollout.record.version, rollout.record.arm) == ("2", "new")
    assert house.route.canaries == (Canary("b", "3", 20), Canary("new", "2", 10))
    await house.rollouts.order("m", Order.ABORT)
    assert house.route.canaries == (Canary("b", "3", 20),)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("canary", "error", "why"),
    [
        ("nobody", NotFound, "no alias"),
        ("champion", Conflict, "which is the stable version already"),
        ("9", NotFound, "version 9"),
    ],
)
async def test_canary_that_cannot_be_one_is_refused(house, canary, error, why):
    """And no route has changed."""
    with pytest.raises(error, match=why):
        await house.rollouts.begin("m", PLAN | {"canary": canary})

    assert house.route is None
    assert house.store.all() == []


@pytest.mark.asyncio
async def test_start_that_the_route_refuses_leaves_nothing_behind(house):
    """Not even on the disk."""
    house.disk.full = True
    with pytest.raises(Unavailable, match="cannot be kept"):
        await house.rollouts.begin("m", PLAN)

    assert house.store.all() == []
    with pytest.raises(NotFound, match="has no rollout"):
        house.rollouts.of("m")


@pytest.mark.asyncio
async def test_start_that_is_refused_leaves_the_last_rollout_where_it_was(house):
    """Also for the process that comes after this one."""
    await house.rollouts.begin("m", PLAN)
    await house.rollouts.order("m", Order.ABORT)
    house.disk.full = True
    with pytest.raises(Unavailable, match="cannot be kept"):
        await house.rollouts.begin("m", PLAN)

    restarted = house.restarted()
    await restarted.start()

    assert (house.rollouts.of("m").state.phase, restarted.of("m").state.phase) == (Phase.ABORTED, Phase.ABORTED)
    await restarted.aclose()


@pytest.mark.asyncio
async def test_gates_that_nobody_could_pass_are_refused(house):
    """Without what they look at, the rollout would hold for ever."""
    for gate, why in (({"drift": {"max": 1}}, "watches the outputs"), ({"disagreement": {"max": 0.1}}, "needs a shadow of version 2")):
        with pytest.raises(Conflict, match=why):
            await house.rollouts.begin("m", PLAN | {"gates": gate})


@pytest.mark.asyncio
async def test_steps_that_leave_nothing_for_the_stable_arm_are_refused(house):
    """It is what the canary is compared with."""
    await house.put(Route(stable="champion", canaries=(Canary("b", "3", 50),)))

    with pytest.raises(Conflict, match="leaves nothing for the stable arm"):
        await house.rollouts.begin("m", PLAN)


@pytest.mark.asyncio
async def test_only_one_rollout_of_a_model_runs_and_the_next_may_follow_it(house):
    """A plan is looked at first."""
    await house.rollouts.begin("m", PLAN)
    with pytest.raises(Conflict, match="is under way"):
        await house.rollouts.begin("m", PLAN)
    with pytest.raises(InvalidInput):
        await house.rollouts.begin("m", {})
    await house.rollouts.order("m", Order.ABORT)
    with pytest.raises(Conflict, match="is over, it is ABORTED"):
        await house.rollouts.order("m", Order.PAUSE)

    assert (await house.rollouts.begin("m", PLAN)).state.phase is Phase.HOLDING


@pytest.mark.asyncio
async def test_rollout_of_a_model_that_is_gone_is_not_resumed(house, caplog):
    """The model does not begin to exist by it."""
    await house.rollouts.begin("m", PLAN)
    house.catalog = Catalog()
    restarted = house.restarted()
    await restarted.start()

    assert "m" not in house.catalog
    assert "the rollout of m is not resumed" in caplog.text
    await restarted.aclose()


@pytest.mark.asyncio
async def test_record_that_cannot_be_read_is_left_out(house, caplog):
    """And the log tells of it: a server starts nevertheless."""
    await house.rollouts.begin("m", PLAN)
    (house.store.directory / "other.json").write_text("{")

    assert [record.model for record in house.store.all()] == ["m"]
    assert "the rollout other.json is not resumed" in caplog.text


@pytest.mark.asyncio
async def test_route_that_somebody_puts_while_a_rollout_begins_stays(house):
    """The rollout was planned for another one; it is refused, and nothing of it is left."""
    theirs = Route(stable="3", override=True)
    beginning = asyncio.create_task(house.rollouts.begin("m", PLAN))
    await asyncio.sleep(0)
    await house.put(theirs)

    with pytest.raises(Conflict, match="changed the route of 'm' meanwhile"):
        await beginning

    assert house.route == theirs
    assert house.store.all() == []
