"""Aliases drive serving: moved by a file or on request, they change who answers, and nothing that was asked fails."""

import asyncio
import json
import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from manager_house import House, Open, request_for

from penstock.domain.errors import Conflict, NotFound, PenstockError, Unavailable
from penstock.domain.session import Session
from penstock.execution.cores import usable_cores
from penstock.execution.session import OrtSession, SessionSettings
from penstock.inference.predictor import FutureReply
from penstock.lifecycle.states import VersionState
from penstock.registry.directory import DirectorySource
from penstock.registry.source import ReadOnlyRegistry, RegistryUnreachable, Snapshot

READY, UNLOADED, FAILED = VersionState.READY, VersionState.UNLOADED, VersionState.FAILED
pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def aliases(root: Path) -> Callable[[], dict[str, str]]:
    """Have `champion` name version 1; return a look at the file of aliases."""
    file = root / "tagged" / "aliases.json"
    file.write_text('{"champion": "1"}')
    return lambda: json.loads(file.read_text())


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Return a list that grows with every look at the registry."""
    seen: list[None] = []
    real = DirectorySource.snapshot

    def snapshot(source: DirectorySource) -> Snapshot:
        seen.append(None)
        return real(source)

    monkeypatch.setattr(DirectorySource, "snapshot", snapshot)
    return seen


async def put(served: House, number: int, alias: str = "champion", *, force: bool = False) -> dict[str, int]:
    """Move an alias of `tagged` on request; return the aliases in force."""
    return dict((await served.manager.aliases.put("tagged", alias, number, force=force)).aliases)


def events(served: House, what: str) -> list[tuple[str, str, str]]:
    """Return who changed something, and from what to what."""
    kept = served.catalog.models["tagged"].events.latest()
    return [(event.who, event.before, event.after) for event in kept if event.what == what]


async def test_move_between_ready_versions_is_in_force_at_once(house: Open, aliases: Any, looks: list[None]) -> None:
    """Without a look at the registry; the file says so too, and looks change nothing about it."""
    async with house() as served:
        before = len(looks)
        moved = await put(served, 2)
        asked = len(looks) - before
        answered = await served.version_of(), await served.version_of("champion")
        await served.look()

        assert (moved, aliases(), answered, asked) == ({"champion": 2}, {"champion": "2"}, (2, 2), 0)
        assert await served.version_of() == 2
        assert events(served, "alias champion") == [("registry", "", "1"), ("admin", "1", "2")]


async def test_version_is_made_ready_before_an_alias_moves_to_it(house: Open, models: ModuleType, root: Path, aliases: Any) -> None:
    """Although it lies there without a manifest: who asks says that it is whole. Until then nothing changes."""
    async with house() as served:
        models.write_tagged(root, 3)
        served.gate.opened.clear()
        moving = asyncio.create_task(put(served, 3))
        await served.until(served.gate.waiting.is_set)
        during = await served.version_of(), aliases()
        served.gate.opened.set()
        moved = await moving

        assert during == (1, {"champion": "1"})
        assert (moved, aliases(), await served.version_of()) == ({"champion": 3}, {"champion": "3"}, 3)


async def test_older_version_that_nothing_else_wants_is_loaded_for_a_move(house: Open, models: ModuleType, root: Path) -> None:
    """The way back to what was freed long ago."""
    models.write_tagged(root, 3)

    async with house() as served:
        before = served.states()
        await put(served, 2)

        assert (before, served.states()) == ({1: READY, 3: READY}, {1: READY, 2: READY, 3: READY})
        assert await served.version_of() == 2


async def test_alias_does_not_move_to_what_cannot_be_loaded(house: Open, models: ModuleType, root: Path, aliases: Any) -> None:
    """The reason is told each time somebody tries, and a mended version is taken."""
    async with house() as served:
        models.write_tagged(root, 3)
        whole = (root / "tagged" / "3" / "model.onnx").read_bytes()
        served.write("3/model.onnx", "no graph")
        for _ in range(2):
            with pytest.raises(Conflict, match=r"version 3 of 'tagged' cannot be served: .*looks like text"):
                await put(served, 3)
        unchanged = aliases(), await served.version_of(), served.states()[3]
        (root / "tagged" / "3" / "model.onnx").write_bytes(whole)
        await put(served, 3)

        assert unchanged == ({"champion": "1"}, 1, FAILED)
        assert await served.version_of() == 3


async def test_forced_move_is_written_at_once_and_in_force_when_ready(house: Open, models: ModuleType, root: Path, aliases: Any) -> None:
    """Nobody waits; requests are answered by the version before until then."""
    async with house() as served:
        models.write_tagged(root, 3)
        served.gate.opened.clear()
        served.gate.waiting.clear()
        moved = await put(served, 3, force=True)
        during = aliases(), await served.version_of(), dict(served.catalog.models["tagged"].pending)
        await served.until(served.gate.waiting.is_set)
        served.gate.opened.set()
        await served.settle()

        assert (moved, during) == ({"champion": 1}, ({"champion": "3"}, 1, {"champion": 3}))
        assert await served.version_of() == 3
        assert served.catalog.models["tagged"].pending == {}


async def test_forced_move_to_what_cannot_be_loaded_leaves_the_old_version_answering(house: Open, root: Path, models: ModuleType) -> None:
    """That is what looks do too; both tell that the alias is pending."""
    async with house() as served:
        models.write_tagged(root, 3)
        served.write("3/model.onnx", "no graph")
        await put(served, 3, force=True)
        await served.settle()
        await served.look()

        assert (await served.version_of(), served.catalog.models["tagged"].pending) == (1, {"champion": 3})


async def test_way_back_is_warm_until_its_time_is_over(house: Open, models: ModuleType, root: Path) -> None:
    """The version that an alias has left needs no load to come back; what it came back from is kept then."""
    now_s = 1000.0
    async with house(keep_warm_s=60) as served:
        served.manager._reconciler._clock = lambda: now_s
        models.write_tagged(root, 3)
        await put(served, 3)
        await served.look()
        warm = served.states()
        served.gate.opened.clear()  # whatever would load now, waits
        await put(served, 1)
        back = await served.version_of()
        await put(served, 3)
        now_s += 59.9
        await served.look()
        still = served.states()[1]
        now_s += 0.1
        await served.look()

        assert warm == {1: READY, 2: UNLOADED, 3: READY}
        assert (back, still) == (1, READY)
        assert served.states() == {1: UNLOADED, 2: UNLOADED, 3: READY}
        assert events(served, "version 1")[-1] == ("server", "READY", "UNLOADED")


async def test_one_version_is_kept_warm_for_each_alias(house: Open, models: ModuleType, root: Path) -> None:
    """However often an alias moves, it holds the memory of its last way back only."""
    async with house() as served:
        for number in (3, 4):
            models.write_tagged(root, number)
            await put(served, number)
        await served.look()

        assert served.states() == {1: UNLOADED, 2: UNLOADED, 3: READY, 4: READY}


async def test_nothing_is_kept_warm_for_no_time(house: Open) -> None:
    """It is freed although nobody looks at the registry."""
    async with house(keep_warm_s=0) as served:
        await put(served, 2)
        await served.until(lambda: served.states() == {1: UNLOADED, 2: READY})


async def test_time_of_a_version_says_how_long_it_is_kept(house: Open, root: Path) -> None:
    """A version's own settings win over those of its model."""
    (root / "tagged" / "1" / "model.toml").write_text("keep_warm_s = 0")

    async with house() as served:
        await put(served, 2)
        await served.until(lambda: served.states() == {1: UNLOADED, 2: READY})


async def test_look_that_began_before_a_move_does_not_undo_it(house: Open, aliases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it found of the model is the older word; the next look finds the new one."""
    async with house() as served:
        found, go_on, real = threading.Event(), threading.Event(), DirectorySource.snapshot

        def snapshot(source: DirectorySource) -> Snapshot:
            seen = real(source)
            found.set()
            assert go_on.wait(20)
            return seen

        monkeypatch.setattr(DirectorySource, "snapshot", snapshot)
        looking = asyncio.create_task(served.look())
        await served.until(found.is_set)
        await put(served, 2)
        go_on.set()
        await looking
        after = await served.version_of()
        await served.look()

        assert (after, await served.version_of(), aliases()) == (2, 2, {"champion": "2"})
        assert events(served, "alias champion") == [("registry", "", "1"), ("admin", "1", "2")]


async def test_look_that_sees_a_move_before_it_is_done_is_not_taken_for_somebody_else(house: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is there before its directory is on the disk."""
    async with house() as served:
        written, go_on, real = threading.Event(), threading.Event(), DirectorySource.set_alias

        def set_alias(*given: Any) -> None:
            real(*given)
            written.set()
            assert go_on.wait(20)

        monkeypatch.setattr(DirectorySource, "set_alias", set_alias)
        moving = asyncio.create_task(put(served, 2))
        await served.until(written.is_set)
        await served.look()
        during = await served.version_of()
        go_on.set()
        await moving

        assert (during, await served.version_of()) == (1, 2)
        assert events(served, "alias champion") == [("registry", "", "1"), ("admin", "1", "2")]


async def test_way_back_does_not_wait_for_a_load(house: Open, models: ModuleType, root: Path) -> None:
    """A version of the model that takes minutes to load must not hold up a rollback; the later word stands."""
    async with house() as served:
        models.write_tagged(root, 3)
        served.gate.opened.clear()
        served.gate.waiting.clear()
        slow = asyncio.create_task(put(served, 3))
        await served.until(served.gate.waiting.is_set)
        await put(served, 2)
        during = await served.version_of()
        served.gate.opened.set()
        with pytest.raises(Conflict, match="a later request has moved the alias 'champion'"):
            await slow

        assert (during, await served.version_of()) == (2, 2)


async def test_moves_that_meet_are_made_in_the_order_in_which_they_came(house: Open, aliases: Any) -> None:
    """None of them fails, and file and requests agree at the end."""
    async with house() as served:
        results = await asyncio.gather(*(put(served, number, alias) for number in (2, 1, 2, 1, 2) for alias in ("champion", "b")))

        assert [result["champion"] for result in results][-1] == 2
        assert aliases() == {"champion": "2", "b": "2"}
        assert await served.version_of() == await served.version_of("b") == 2


async def test_alias_is_taken_away_and_that_twice_is_no_error(house: Open, aliases: Any) -> None:
    """Requests that name no version are then answered by the highest."""
    async with house() as served:
        model = await served.manager.aliases.remove("tagged", "champion")
        await served.manager.aliases.remove("tagged", "champion")

        assert (model.aliases, aliases(), await served.version_of()) == ({}, {}, 2)
        assert events(served, "alias champion")[-1] == ("admin", "1", "")


@pytest.mark.parametrize(
    ("model", "number", "said"), [("unheard-of", 1, "the registry has no such model"), ("tagged", 9, "has no version 9 .* it has: 1, 2")]
)
async def test_what_is_not_there_is_not_found(house: Open, model: str, number: int, said: str) -> None:
    """The registry is asked before that is said: a version may have come since the last look."""
    async with house() as served:
        with pytest.raises(NotFound, match=said):
            await served.manager.aliases.put(model, "champion", number, force=False)


async def test_version_that_would_not_be_kept_is_refused(house: Open, aliases: Any) -> None:
    """An exact list leaves out what it does not name: the alias would lead to nothing."""
    async with house(versions=[1]) as served:
        with pytest.raises(Conflict, match=r"version 2 is not among the versions to serve, \[1\]"):
            await put(served, 2)

        assert (aliases(), served.states()) == ({"champion": "1"}, {1: READY})


async def test_model_that_was_unloaded_is_not_loaded_by_a_move(house: Open, aliases: Any) -> None:
    """Somebody wanted it gone. With force the registry is changed all the same, for the next load."""
    async with house() as served:
        await served.manager.unload("tagged")
        await served.settle()
        with pytest.raises(Conflict, match="was unloaded on request"):
            await put(served, 2)
        unchanged = aliases()
        await put(served, 2, force=True)
        await served.settle()
        states = served.states()
        await served.manager.load("tagged")

        assert (unchanged, aliases()) == ({"champion": "1"}, {"champion": "2"})
        assert READY not in states.values()
        assert await served.version_of() == 2


@pytest.mark.parametrize(
    ("error", "told"),
    [(ReadOnlyRegistry("aliases are moved in the other place"), Conflict), (RegistryUnreachable("/secret/place"), Unavailable)],
)
async def test_alias_stays_where_it_is_if_the_registry_cannot_be_written(
    house: Open, monkeypatch: pytest.MonkeyPatch, error: Exception, told: type[PenstockError]
) -> None:
    """In force is never what the registry does not say."""

    def refuse(*_: object) -> None:
        raise error

    async with house() as served:
        monkeypatch.setattr(DirectorySource, "set_alias", refuse)
        with pytest.raises(told) as caught:
            await put(served, 2)

        assert "/secret/place" not in caught.value.message
        assert (await served.version_of(), served.catalog.models["tagged"].aliases) == (1, {"champion": 1})


async def test_registry_that_cannot_be_read_is_told_as_unavailable(house: Open, root: Path) -> None:
    """A version that was never seen has to be looked for; one that is ready does not."""
    async with house() as served:
        shutil.move(root, root.with_name("away"))
        for ask in (put(served, 9), served.manager.load("tagged")):
            with pytest.raises(Unavailable, match="the registry cannot be read now"):
                await ask
        shutil.move(root.with_name("away"), root)
        await served.look()

        assert events(served, "registry") == [("registry", "reachable", "unreachable"), ("registry", "unreachable", "reachable")]
        assert await served.version_of() == 1


async def test_each_outage_of_the_registry_is_told_once_and_its_end_too(
    house: Open, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However long it lasts, and though the reason is another text at each look, as one with the number of a request is."""
    requests, real = iter(range(100)), DirectorySource.snapshot

    def away(_source: DirectorySource) -> Snapshot:
        raise RegistryUnreachable(f"the registry does not answer, request {next(requests)}")

    async with house() as served:
        for _ in range(2):
            monkeypatch.setattr(DirectorySource, "snapshot", away)
            for _ in range(3):
                with pytest.raises(RegistryUnreachable):
                    await served.look()
            monkeypatch.setattr(DirectorySource, "snapshot", real)
            await served.look()

    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == [
        "the registry cannot be read: the registry does not answer, request 0; what is loaded stays loaded",
        "the registry can be read again",
        "the registry cannot be read: the registry does not answer, request 3; what is loaded stays loaded",
        "the registry can be read again",
    ]


async def test_what_is_wrong_in_the_registry_is_told_each_time_it_becomes_so(
    house: Open, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not at each look; and nothing is remembered of what is mended."""
    async with house() as served:
        for _ in range(2):
            (root / "tagged" / "draft").mkdir()
            await served.look()
            await served.look()
            (root / "tagged" / "draft").rmdir()
            await served.look()

        assert caplog.text.count("ignored in the registry: tagged/draft") == 2
        assert served.manager._looks._notices._said == set()


async def test_file_that_cannot_be_understood_is_told_and_not_written_over(house: Open, root: Path) -> None:
    """The old aliases stay in force, the event says why, and a request to move one is refused."""
    async with house() as served:
        served.write("aliases.json", '{"champion": "2"')
        await served.look()
        await served.look()
        with pytest.raises(Conflict, match="mend or remove the file first"):
            await put(served, 2)

        assert (root / "tagged" / "aliases.json").read_text() == '{"champion": "2"'
        assert await served.version_of() == 1
        assert [(who, before) for who, before, _ in events(served, "problem")] == [("registry", "")]


async def test_file_that_cannot_be_read_is_told(house: Open, root: Path) -> None:
    """A directory in its place: what serves goes on serving, and nobody is told where the registry lies."""
    async with house() as served:
        (root / "tagged" / "aliases.json").unlink()
        (root / "tagged" / "aliases.json").mkdir()
        await served.look()
        with pytest.raises(PenstockError) as caught:
            await put(served, 2)

        assert str(root) not in caught.value.message
        assert await served.version_of() == 1
        assert len(events(served, "problem")) == 1


async def test_registry_that_is_down_at_the_start_is_known_to_be(house: Open, root: Path) -> None:
    """Served is what the cache holds; the report tells when the registry is back, and its age is that of the last real look."""
    async with house():
        pass
    shutil.move(root, root.with_name("away"))

    async with house() as served:
        answered, age_s = await served.version_of(), served.manager.registry_age_s
        with pytest.raises(Unavailable, match="the registry cannot be written now"):
            await put(served, 2)
        shutil.move(root.with_name("away"), root)
        await served.look()

        assert answered == 1
        assert served.manager.registry_age_s < age_s
        assert events(served, "registry") == [("registry", "unreachable", "reachable")]


async def test_model_that_vanishes_is_told_and_goes_on_serving(house: Open, root: Path) -> None:
    """One event for its going, one for its coming back."""
    async with house() as served:
        shutil.move(root / "tagged", root.with_name("away"))
        await served.look()
        await served.look()
        during = await served.version_of()
        with pytest.raises(NotFound, match="the registry has no model 'tagged'"):
            await put(served, 2)
        shutil.move(root.with_name("away"), root / "tagged")
        await served.look()

        assert during == 1
        assert len(events(served, "problem")) == 2


async def test_new_alias_whose_version_fails_changes_nothing(house: Open, root: Path, models: ModuleType) -> None:
    """A champion that is not ready answers nobody in place of the version that does; who asks for it is told why not."""
    (root / "tagged" / "aliases.json").write_text("{}")
    models.write_tagged(root, 3)
    (root / "tagged" / "1" / "model.onnx").write_text("no graph")

    async with house() as served:
        served.write("aliases.json", '{"champion": "1"}')
        await served.look()

        assert await served.version_of() == 3
        with pytest.raises(Unavailable, match=r"version 1 of model 'tagged' is not ready: .*looks like text"):
            await served.ask("champion")


async def test_champion_that_cannot_be_loaded_at_the_start_is_answered_by_nobody_else(house: Open, root: Path) -> None:
    """A newer version that nobody has chosen must not take its place because the server was restarted."""
    (root / "tagged" / "1" / "model.onnx").write_text("no graph")

    async with house() as served:
        with pytest.raises(Unavailable, match="version 1 of model 'tagged' is not ready"):
            await served.ask()
        assert await served.version_of("2") == 2


async def test_no_alias_ever_names_a_version_that_drains(house: Open) -> None:
    """Moved by the file between ready versions with nothing kept warm: at no turn of the loop is a request refused."""
    async with house(keep_warm_s=0, versions=["champion"]) as served:
        await put(served, 1, "other")
        over = asyncio.Event()

        async def ask_on() -> int:
            asked = 0
            while not over.is_set():
                reply = FutureReply()
                served.predictor.submit(request_for("tagged"), reply)
                await asyncio.sleep(0)
                await reply.future
                asked += 1
            return asked

        asking = asyncio.create_task(ask_on())
        for number in (2, 1, 2, 1):
            served.write("aliases.json", json.dumps({"champion": str(number)}))
            await served.look()  # without a manifest, twice
            await served.look()
        over.set()

        assert await asking > 0


async def test_hints_are_one_look(house: Open, looks: list[None], root: Path) -> None:
    """However many come before it begins; a hint during a look is another one."""
    async with house() as served:
        before = len(looks)
        served.write("aliases.json", '{"champion": "2"}')
        for _ in range(50):
            served.manager.look_soon()
        await served.until(lambda: served.catalog.models["tagged"].aliases == {"champion": 2})
        await asyncio.sleep(0.05)
        first = len(looks) - before
        served.manager.look_soon()
        await served.until(lambda: len(looks) - before == 2)

        assert first == 1


async def test_few_versions_load_at_once_and_serving_goes_on(
    house: Open, models: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve new models: no more than half the cores, and two at least, are kept busy."""
    loading, most, lock = 0, 0, threading.Lock()

    def slow(path: Path, settings: SessionSettings, rows: int | None) -> Session:
        nonlocal loading, most
        with lock:
            loading += 1
            most = max(most, loading)
        session = OrtSession(path, settings, rows)
        threading.Event().wait(0.01)
        with lock:
            loading -= 1
        return session

    async with house() as served:
        for index in range(12):
            shutil.copytree(root / "tagged", root / f"m{index}")
        served.manager._loader._open_session = slow
        await served.manager._look()
        answers = 0
        while served.manager._reconciler.tasks or answers == 0:
            await served.manager._look()
            answers += await served.version_of() == 1
        await served.settle()

        assert all(served.states(f"m{index}") == {1: READY, 2: READY} for index in range(12))
        assert most == max(2, usable_cores() // 2)


@pytest.mark.parametrize("force", [False, True])
async def test_version_below_the_lowest_is_not_brought_back(house: Open, aliases: Any, root: Path, force: bool) -> None:
    """Neither on request nor by the file; what serves goes on, and an event says why."""
    (root / "tagged" / "aliases.json").write_text('{"champion": "2"}')
    async with house(lowest_version=2) as served:
        with pytest.raises(Conflict, match=r"version 1 of 'tagged' is below lowest_version, 2"):
            await put(served, 1, force=force)
        assert aliases() == {"champion": "2"}

        (root / "tagged" / "aliases.json").write_text('{"champion": "1"}')
        await served.look()

        assert await served.version_of("champion") == 2
        assert [(before, after) for _, before, after in events(served, "version 1")] == [("LOADING", "FAILED")]


async def test_version_that_an_alias_names_goes_on_serving_when_its_files_are_gone(house: Open, models: ModuleType, root: Path) -> None:
    """A directory removed by hand, or a manifest that a bucket let expire, is no wish; it is told, until the alias has moved."""
    models.write_tagged(root, 3)

    async with house(keep_warm_s=0) as served:
        shutil.rmtree(root / "tagged" / "1")
        await served.look()
        await served.look()
        during = await served.version_of(), served.states()[1], served.catalog.models["tagged"].problem
        served.write("aliases.json", '{"champion": "3"}')
        await served.look()
        await served.look()

        assert during[:2] == (1, READY)
        assert "version 1 is gone from the registry" in during[2]
        assert (await served.version_of(), served.states()[1], served.catalog.models["tagged"].problem) == (3, UNLOADED, "")
        assert len(events(served, "problem")) == 2


async def test_alias_moved_by_the_file_does_not_wait_for_a_load(house: Open, models: ModuleType, root: Path) -> None:
    """The way back is quick, whoever takes it: the next look sees it, though another version of the model is still being loaded."""
    served_first = '{"champion": "2"}'
    (root / "tagged" / "aliases.json").write_text(served_first)

    async with house(versions="all") as served:
        models.write_tagged(root, 3)
        await served.look()
        served.gate.opened.clear()
        served.gate.waiting.clear()
        await served.manager._look()
        await served.until(served.gate.waiting.is_set)
        served.write("aliases.json", '{"champion": "1"')
        await served.manager._look()
        half_written = await served.version_of()
        served.write("aliases.json", '{"champion": "1"}')
        await served.manager._look()
        during, loading = await served.version_of(), not served.catalog.models["tagged"].is_ready(3)
        served.gate.opened.set()
        await served.settle()

        assert (half_written, during, loading) == (2, 1, True)
        assert (await served.version_of(), served.states()[3]) == (1, READY)


async def test_each_version_that_is_kept_warm_is_freed_when_its_own_time_is_over(house: Open, models: ModuleType, root: Path) -> None:
    """Nobody looks at the registry; a timer that fires a little early, as they do, loses nothing."""
    for number in (3, 4):
        models.write_tagged(root, number)
    (root / "tagged" / "aliases.json").write_text('{"a": "1", "b": "2"}')

    async with house(keep_warm_s=0.2) as served:
        late_s = 0.001
        reconciler = served.manager._reconciler
        real = reconciler._clock
        await put(served, 4, "a")
        await asyncio.sleep(0.05)
        await put(served, 4, "b")
        reconciler._clock = lambda: real() - late_s  # from here on every timer is early by that much
        await served.until(lambda: served.states() == {1: UNLOADED, 2: UNLOADED, 4: READY})
