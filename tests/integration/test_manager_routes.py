"""Which versions a route keeps, and what becomes of it when they come and go: a manager over a directory, without a server."""

import asyncio
from pathlib import Path
from types import ModuleType

import pytest
from manager_house import House, Open

from penstock.domain.errors import Conflict, InvalidInput, NotFound, PreconditionFailed, Unavailable
from penstock.domain.route import Canary, Route, Sticky
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.route_store import KeptRoute, RouteStore
from penstock.lifecycle.routes import Routes
from penstock.lifecycle.states import VersionState

pytestmark = pytest.mark.asyncio

ALL_TO_2 = (Canary("b", "2", 100),)


async def arms(house: House) -> tuple[int, str]:
    """Return which version answers a request that names none, and its arm."""
    answer = await house.ask()
    return int(answer.version.version), answer.arm


def route_events(house: House) -> list[tuple[str, str, str]]:
    """Return the changes of the route: who, from what, to what."""
    return [(event.who, event.before, event.after) for event in house.catalog.models["tagged"].events.latest() if event.what == "route"]


async def test_route_waits_for_its_versions_and_is_in_force_when_they_are_ready(root: Path, house: Open, models: ModuleType) -> None:
    """Until then who named no version gets what he got before."""
    route = Route(stable="2", canaries=(Canary("b", "3", 100),))
    async with house(route=route) as opened:
        assert await arms(opened) == (2, "stable")
        models.write_tagged(root, 3)
        await opened.look()
        await opened.look()
        assert await arms(opened) == (3, "b")
        assert route_events(opened)[-1] == ("server", "waiting", "in force")


async def test_version_that_only_a_route_names_stays_loaded(root: Path, house: Open, models: ModuleType) -> None:
    """Although `latest:1` wants it no more."""
    async with house(versions="latest:1", route=Route(stable="1", canaries=(Canary("b", "2", 50),))) as opened:
        models.write_tagged(root, 3)
        await opened.look()
        await opened.look()
        assert opened.states() == dict.fromkeys((1, 2, 3), VersionState.READY)
        await opened.manager.routes.remove("tagged", who="admin")
        await opened.look()
        assert opened.states()[3] is VersionState.READY
        assert {opened.states()[number] for number in (1, 2)} == {VersionState.UNLOADED}


async def test_canary_that_is_unloaded_leaves_its_requests_to_the_stable_version(house: Open) -> None:
    """And one that comes back gets them again; the events tell of both."""
    async with house(versions="all", route=Route(stable="1", canaries=ALL_TO_2)) as opened:
        assert await arms(opened) == (2, "b")
        await opened.manager._reconciler._drain(opened.catalog.models["tagged"], 2)
        assert await arms(opened) == (1, "stable")
        assert route_events(opened)[-1] == ("server", "in force", "in part")
        await opened.manager.load("tagged")
        assert await arms(opened) == (2, "b")


async def test_stable_version_that_is_unloaded_leaves_its_requests_to_the_models_choice(house: Open) -> None:
    """Better the highest version than none."""
    async with house(versions="all", route=Route(stable="1")) as opened:
        assert await arms(opened) == (1, "stable")
        await opened.manager._reconciler._drain(opened.catalog.models["tagged"], 1)
        assert await arms(opened) == (2, "stable")


@pytest.mark.parametrize("keep_warm_s", [600, 0], ids=["kept-warm", "loaded-again"])
async def test_rollback_of_a_stable_number_finds_the_version_before(house: Open, keep_warm_s: float) -> None:
    """Whether it is still there or not."""
    async with house(versions="latest:1", keep_warm_s=keep_warm_s, route=Route(stable="1", canaries=ALL_TO_2)) as opened:
        await opened.manager.promotions.promote("tagged")
        await opened.look()
        assert await arms(opened) == (2, "stable")
        assert opened.states()[1] is (VersionState.READY if keep_warm_s else VersionState.UNLOADED)
        await opened.manager.promotions.rollback("tagged")
        assert await arms(opened) == (1, "stable")


class Written(RouteStore):
    """Remembers what it was to keep."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir)
        self.kept: list[KeptRoute] = []

    def keep(self, model: str, kept: KeptRoute) -> None:
        super().keep(model, kept)
        self.kept.append(kept)


@pytest.mark.parametrize("stable", ["1", "champion"])
async def test_promotion_keeps_the_route_and_the_way_back_in_one_write(root: Path, house: Open, tmp_path: Path, stable: str) -> None:
    """So that no crash can come between them."""
    (root / "tagged" / "aliases.json").write_text('{"champion": "1"}')
    async with house(versions="all", route=Route(stable=stable, canaries=ALL_TO_2)) as opened:
        routes = opened.manager.routes
        store = routes._store = Written(tmp_path)

        await opened.manager.promotions.promote("tagged")
        assert [(kept.route.canaries if kept.route else None, kept.previous) for kept in store.kept] == [((), "1")]

        await opened.manager.promotions.rollback("tagged")
        assert [kept.previous for kept in store.kept] == ["1", "2"]


async def test_canary_can_be_taken_away_although_another_version_of_the_route_is_gone(house: Open) -> None:
    """The way back must not wait for what has nothing to do with it; but no weight may grow meanwhile."""
    b, c = Canary("b", "2", 50), Canary("c", "1", 1)
    async with house(versions="all", route=Route(stable="2", canaries=(b, c))) as opened:
        routes = opened.manager.routes
        await opened.manager._reconciler._drain(opened.catalog.models["tagged"], 1)
        for other in (Route(stable="2", canaries=(Canary("b", "2", 60), c)), Route(stable="2", canaries=(Canary("b", "2", 40), c))):
            with pytest.raises(Conflict, match="version 1 is not ready"):
                await routes.put("tagged", other, who="admin")

        await routes.put("tagged", Route(stable="2", canaries=(c,)), who="rollout")

        assert await arms(opened) == (2, "stable")


async def test_canary_that_takes_other_inputs_is_refused(root: Path, house: Open, models: ModuleType) -> None:
    """Callers do not know which arm they get."""
    models.save(models.parse("other (float[batch,5] X) => (float[batch,5] Y) { Y = Identity (X) }"), root / "tagged" / "3")
    async with house(versions="all") as opened:
        with pytest.raises(Conflict, match="canary 'b', version 3, cannot stand in for the stable version: its input 'X' has the shape"):
            await opened.manager.routes.put("tagged", Route(stable="1", canaries=(Canary("b", "3", 5),)), who="admin")
        assert opened.manager.routes.of("tagged") is None


async def test_changes_at_the_same_time_follow_each_other(house: Open, tmp_path: Path) -> None:
    """Each has a revision of its own, and of two that replace the same one the second is refused."""
    async with house(versions="all") as opened:
        routes = Routes(opened.catalog, RouteStore(tmp_path), lambda _: None)  # which waits for the disk
        first = await routes.put("tagged", Route(stable="1"), who="admin")
        changes = [routes.put("tagged", Route(stable=number), who="admin", if_match=first.revision) for number in "12"]
        done = await asyncio.gather(*changes, return_exceptions=True)
        assert [type(each).__name__ for each in done] == ["ActiveRoute", "PreconditionFailed"]
        assert isinstance(done[1], PreconditionFailed)
        assert "is revision 2, the request expects 1" in done[1].message


async def test_unknown_model_and_nonsense_are_told_apart(house: Open) -> None:
    """All that makes no sense is told at once."""
    async with house(versions="all") as opened:
        routes = opened.manager.routes
        with pytest.raises(NotFound):
            await routes.put("nobody", Route(), who="admin")
        bad = Route(stable="01", canaries=(Canary("b", "2", 101),), sticky=Sticky())
        with pytest.raises(InvalidInput) as told:
            await routes.put("tagged", bad, who="admin")
        for wrong in ("version '01' is neither", "is 101; it must be", "add up to 101 %", "sticky must name one place"):
            assert wrong in told.value.message


async def test_route_that_cannot_be_kept_changes_nothing(house: Open, tmp_path: Path) -> None:
    """What would be forgotten at the next start is not put in force."""
    (tmp_path / "full").write_text("no directory")
    async with house(versions="all") as opened:
        routes = Routes(opened.catalog, RouteStore(tmp_path / "full"), lambda _: None)
        with pytest.raises(Unavailable, match="cannot be kept in the state directory"):
            await routes.put("tagged", Route(stable="1", canaries=ALL_TO_2), who="admin")
        assert routes.of("tagged") is None
        assert (await arms(opened))[1] == "stable"


async def test_kept_route_that_is_damaged_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With a warning; the model is served as if it had none."""
    store = RouteStore(tmp_path)
    store.keep("tagged", KeptRoute(Route(stable="1"), 3, "admin"))
    assert store.read("tagged") == KeptRoute(Route(stable="1"), 3, "admin")
    (tmp_path / "routes" / "tagged.json").write_text('{"route": 1}')
    routes = Routes(Catalog(), store, lambda _: None)
    await routes.adopt("tagged")
    assert routes.of("tagged") is None
    assert "the kept route of tagged is ignored" in caplog.text


async def test_kept_route_is_looked_for_once(tmp_path: Path) -> None:
    """Looks at the registry come every other second, for each of maybe a thousand models."""
    store, seen = RouteStore(tmp_path), list[str]()
    store.read = lambda model: seen.append(model)  # type: ignore[method-assign,func-returns-value]
    routes = Routes(Catalog(), store, lambda _: None)
    for _ in range(3):
        await routes.adopt("tagged")
    assert seen == ["tagged"]
