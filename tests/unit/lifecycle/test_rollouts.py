"""Rollouts over a catalog made by hand: what goes wrong around them, and what is on the disk by then."""

from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace

from penstock.domain.errors import Conflict, InvalidInput, NotFound, PenstockError
from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest
from penstock.domain.route import Canary, Route, Shadow
from penstock.domain.ticket import Ticket
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.rollout_record import RolloutStore
from penstock.lifecycle.rollout_run import Surroundings
from penstock.lifecycle.rollouts import Rollouts
from penstock.lifecycle.routes import ActiveRoute
from penstock.lifecycle.version import ServedVersion
from penstock.telemetry.readings import Readings
from penstock.traffic.rollout import Action, Order, Phase
from penstock.traffic.share import Share

PLAN = {
    "canary": "challenger",
    "steps": [{"weight": 10, "hold_s": 5}, {"weight": 50, "hold_s": 5}],
    "gates": {"min_requests": 20, "max_bad_share": 1, "latency": None},
}
BASE = Route(stable="champion")


class Routes:
    """Routes that can refuse."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.refusal: PenstockError | None = None

    def of(self, name: str) -> ActiveRoute | None:
        route = self.routes.get(name)
        return None if route is None else ActiveRoute(route, 1, "admin")

    async def put(self, name: str, route: Route, *, who: str, why: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.routes[name] = route

    async def remove(self, name: str, *, who: str, why: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        del self.routes[name]


class House:
    """Two ready versions of one model, and rollouts of it."""

    def __init__(self, state_dir: Path) -> None:
        self.catalog = Catalog()
        self.model = self.catalog.served("m")
        for number in (1, 2, 3):
            version = self.model.versions[number] = ServedVersion(ModelVersion("m", str(number)))
            version.ready = True
        self.model.aliases.update(champion=1, challenger=2)
        self.routes = Routes()
        self.compared = Share(5, 50)
        self.promotion: PenstockError | None = None
        self.store = RolloutStore(state_dir)
        self.rollouts = self.restarted()

    def restarted(self) -> Rollouts:
        """Return the rollouts of a process that begins."""
        around = Surroundings(
            self.routes,
            self.store,
            Readings((), list),
            self.promote,
            lambda *_: self.compared,  # type: ignore[arg-type]
        )
        return Rollouts(self.catalog, around, look_s=3600)

    async def promote(self, name: str, arm: str) -> None:
        if self.promotion is not None:
            raise self.promotion
        self.model.aliases["champion"] = 2
        self.model.forget()
        self.routes.routes[name] = BASE

    def serve(self, count: int, status: str = "CANCELLED") -> None:
        """Let predictions end in both arms; the canary's with a status."""
        for number, arm, end in ((1, "stable", "CANCELLED"), (2, "challenger", status)):
            for _ in range(count):
                ticket = Ticket(InferenceRequest("http", "m", "", []), None, lambda _: None, lambda: 0)  # type: ignore[arg-type]
                ticket.arm = arm
                self.model.versions[number].statistics.failed(ticket, end)

    def kept(self) -> object:
        (record,) = self.store.all()
        return record

    def weights(self) -> list[float]:
        return [canary.weight for canary in self.routes.routes["m"].canaries]


@pytest_asyncio.fixture
async def house(tmp_path: Path):
    """Return a house whose rollouts end with the test."""
    house = House(tmp_path)
    yield house
    await house.rollouts.aclose()


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
    assert house.routes.routes == {}
    assert house.model.events.latest()[-1].why == rollout.state.why


@pytest.mark.asyncio
async def test_model_without_champion_keeps_a_route_so_that_its_highest_version_does_not_answer(house):
    """Which may be the canary that has just failed."""
    house.model.aliases.clear()
    house.routes.routes.clear()
    rollout = await house.rollouts.begin("m", PLAN | {"canary": "2"})
    assert (rollout.record.stable, rollout.record.arm) == ("3", "canary")

    await house.rollouts.order("m", Order.ABORT)

    assert house.routes.routes["m"] == Route(stable="3")


@pytest.mark.asyncio
async def test_going_back_that_is_refused_is_tried_at_every_look_and_after_a_restart(house, caplog):
    """Nothing is forgotten: what was decided is on the disk before it is done."""
    rollout = await house.rollouts.begin("m", PLAN)
    house.serve(30, "MODEL_FAILED")
    house.routes.refusal = Conflict("not now")
    await rollout.look(1)
    assert (rollout.state.phase, house.kept().pending, house.weights()) == (Phase.ROLLED_BACK, Action.BACK_TO_STABLE, [10])

    await rollout.look(1)
    assert caplog.text.count("back_to_stable has to wait: not now") == 1

    restarted = house.restarted()
    await restarted.start()
    await restarted.of("m").look(1)
    assert house.weights() == [10]
    house.routes.refusal = None
    await restarted.of("m").look(1)

    assert house.routes.routes == {}
    assert not restarted.of("m").is_under_way
    await restarted.aclose()


@pytest.mark.asyncio
async def test_going_back_leaves_a_route_that_somebody_has_put_before_it_was_done(house):
    """Theirs is the later word."""
    rollout = await house.rollouts.begin("m", PLAN)
    house.serve(30, "MODEL_FAILED")
    house.routes.refusal = Conflict("not now")
    await rollout.look(1)
    house.routes.refusal, theirs = None, Route(stable="3")
    house.routes.routes["m"] = theirs

    await rollout.look(1)

    assert (house.routes.routes["m"], rollout.is_under_way) == (theirs, False)


@pytest.mark.asyncio
async def test_weight_that_the_route_does_not_take_serves_no_hold_time(house):
    """The step has not begun for anybody."""
    rollout = await house.rollouts.begin("m", PLAN)
    house.serve(30)
    house.routes.refusal = Conflict("not now")
    await rollout.look(5)
    await rollout.look(100)
    assert (rollout.state.step, rollout.state.served_s, house.weights()) == (1, 0, [10])

    house.routes.refusal = None
    await rollout.look(1)

    assert (rollout.state.served_s, house.weights()) == (1, [50])


@pytest.mark.asyncio
async def test_promotion_that_is_refused_pauses_with_the_reason_and_resumes(house):
    """As with a registry that takes no changes from here."""
    rollout = await house.rollouts.begin("m", PLAN | {"steps": [{"weight": 50, "hold_s": 0}]})
    house.serve(30)
    house.promotion = Conflict("the registry is read-only")
    await rollout.look(1)
    assert (rollout.state.phase, rollout.state.why, house.weights()) == (Phase.PAUSED, "the registry is read-only", [50])

    house.promotion = None
    await house.rollouts.order("m", Order.RESUME)
    await rollout.look(1)

    assert rollout.state.phase is Phase.PROMOTED


@pytest.mark.asyncio
async def test_promotion_that_was_half_done_when_the_server_died_is_finished(house):
    """The alias had moved, the route had not."""
    rollout = await house.rollouts.begin("m", PLAN | {"steps": [{"weight": 50, "hold_s": 0}]})
    house.serve(30)
    house.promotion = Conflict("died here")
    await rollout.look(1)
    house.store.keep(replace(rollout.record, state=replace(rollout.state, phase=Phase.PROMOTING), pending=Action.PROMOTE))
    house.model.aliases["champion"] = 2
    house.model.forget()

    restarted = house.restarted()
    await restarted.start()
    await restarted.of("m").look(1)

    assert restarted.of("m").state.phase is Phase.PROMOTED
    assert house.routes.routes == {}
    await restarted.aclose()


@pytest.mark.asyncio
async def test_promotion_in_the_route_that_was_done_when_the_server_died_stays(house):
    """A route whose stable version is a number has changed already."""
    house.routes.routes["m"] = Route(stable="1")
    rollout = await house.rollouts.begin("m", PLAN | {"steps": [{"weight": 50, "hold_s": 0}]})
    house.store.keep(replace(rollout.record, state=replace(rollout.state, phase=Phase.PROMOTING), pending=Action.PROMOTE))
    house.routes.routes["m"] = Route(stable="2")

    restarted = house.restarted()
    await restarted.start()
    await restarted.of("m").look(1)

    assert restarted.of("m").state.phase is Phase.PROMOTED
    assert house.routes.routes["m"] == Route(stable="2")
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
    assert house.routes.routes == {}


@pytest.mark.asyncio
async def test_route_that_somebody_has_put_stays_although_the_canary_fails(house):
    """The rollout is over and touches nothing."""
    rollout = await house.rollouts.begin("m", PLAN)
    theirs = Route(stable="champion", canaries=(Canary("theirs", "3", 40),))
    house.routes.routes["m"] = theirs
    house.serve(30, "MODEL_FAILED")

    await rollout.look(1)

    assert rollout.state.phase is Phase.STOPPED
    assert house.routes.routes["m"] == theirs


@pytest.mark.asyncio
async def test_other_canaries_of_the_route_stay_and_a_canary_of_the_route_is_taken_over(house):
    """By its name, with the version that it names."""
    house.routes.routes["m"] = Route(stable="1", canaries=(Canary("b", "3", 20), Canary("new", "2", 3)))

    rollout = await house.rollouts.begin("m", PLAN | {"canary": "new"})

    assert (rollout.record.version, rollout.record.arm) == ("2", "new")
    assert house.routes.routes["m"].canaries == (Canary("b", "3", 20), Canary("new", "2", 10))
    await house.rollouts.order("m", Order.ABORT)
    assert house.routes.routes["m"].canaries == (Canary("b", "3", 20),)


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

    assert house.routes.routes == {}
    assert house.store.all() == []


@pytest.mark.asyncio
async def test_start_that_the_route_refuses_leaves_nothing_behind(house):
    """Not even on the disk."""
    house.routes.refusal = Conflict("version 2 is not ready")
    with pytest.raises(Conflict, match="not ready"):
        await house.rollouts.begin("m", PLAN)

    assert house.store.all() == []
    with pytest.raises(NotFound, match="has no rollout"):
        house.rollouts.of("m")


@pytest.mark.asyncio
async def test_gates_that_nobody_could_pass_are_refused(house):
    """Without what they look at, the rollout would hold for ever."""
    for gate, why in (({"drift": {"max": 1}}, "watches the outputs"), ({"disagreement": {"max": 0.1}}, "needs a shadow of version 2")):
        with pytest.raises(Conflict, match=why):
            await house.rollouts.begin("m", PLAN | {"gates": gate})


@pytest.mark.asyncio
async def test_disagreement_of_the_canary_as_a_shadow_breaks_its_gate(house):
    """What was compared before the rollout does not count."""
    house.routes.routes["m"] = Route(stable="champion", shadows=(Shadow("challenger"),))
    rollout = await house.rollouts.begin("m", PLAN | {"gates": {"disagreement": {"max": 0.01}}})
    await rollout.look(1)
    assert "0 of 0 requests of the canary" in rollout.verdicts()[-1].why

    house.compared = Share(25, 100)
    await rollout.look(1)

    assert rollout.state.phase is Phase.ROLLED_BACK
    assert "disagreement: 20 of 50 requests" in rollout.state.why


@pytest.mark.asyncio
async def test_steps_that_leave_nothing_for_the_stable_arm_are_refused(house):
    """It is what the canary is compared with."""
    house.routes.routes["m"] = Route(stable="champion", canaries=(Canary("b", "3", 50),))

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
