"""The manager over a real directory and real tiny models: what is wanted becomes true, and what serves goes on serving."""

import logging
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from manager_house import House, Open, request_for

from penstock.domain.errors import NotFound, PenstockError, Unavailable
from penstock.inference.predictor import FutureReply
from penstock.lifecycle.check_report import CheckReport
from penstock.lifecycle.manager import Wanted
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.states import VersionState
from penstock.registry.directory import DirectorySource
from penstock.registry.source import RegistryUnreachable, Snapshot

READY, FAILED, UNLOADED = VersionState.READY, VersionState.FAILED, VersionState.UNLOADED
pytestmark = pytest.mark.asyncio


async def test_start_loads_what_is_wanted_and_then_is_ready(house: Open) -> None:
    """By default the newest version alone."""
    async with house() as served:
        assert served.states() == {2: READY}
        assert served.manager.ready
        assert await served.version_of() == 2


async def test_all_versions_are_served_where_all_are_wanted(house: Open) -> None:
    """Each under its own number."""
    async with house(versions="all") as served:
        assert [await served.version_of(str(number)) for number in (1, 2)] == [1, 2]


async def test_command_line_names_the_model_and_its_version(house: Open, models: ModuleType, root: Path) -> None:
    """Nothing else is loaded."""
    models.write_mlp(root)

    async with house((Wanted("tagged", "1"),)) as served:
        assert served.states() == {1: READY}
        assert "mlp" not in served.catalog


async def test_command_line_names_several_versions_of_a_model(house: Open) -> None:
    """None stands in another's way."""
    async with house((Wanted("tagged", "1"), Wanted("tagged", "2"))) as served:
        assert served.states() == {1: READY, 2: READY}


@pytest.mark.parametrize("reference", ["9", "champion", "gone"])
@pytest.mark.parametrize("told", ["command line", "settings"])
async def test_reference_that_names_nothing_is_told(house: Open, root: Path, reference: str, told: str) -> None:
    """The server is not ready, and says what there is; an alias may name a version that is not there."""
    (root / "tagged" / "aliases.json").write_text('{"gone": 7}')
    only, versions = ((Wanted("tagged", reference),), "latest:1") if told == "command line" else ((), [reference])

    async with house(only, versions=versions) as served:
        said = f"the registry has no version {reference} of it; it has: 1, 2, gone -> 7"
        assert not served.manager.ready
        assert CheckReport.of(served.catalog).problems == (f"tagged: {said}",)
        with pytest.raises(Unavailable, match=said):
            await served.ask()


async def test_reference_that_comes_to_name_something_is_served(house: Open, root: Path, models: ModuleType) -> None:
    """The others are served meanwhile."""
    async with house(versions=[1, 3]) as served:
        before = served.manager.ready, served.catalog.models["tagged"].problem
        models.write_tagged(root, 3)
        await served.look()
        await served.look()

        assert before == (True, "the registry has no version 3 of it; it has: 1, 2")
        assert served.states() == {1: READY, 3: READY}
        assert served.catalog.models["tagged"].problem == ""


async def test_model_that_is_asked_for_and_not_there_is_told(house: Open) -> None:
    """The others are served."""
    async with house((Wanted("gone"), Wanted("tagged"))) as served:
        assert served.states() == {2: READY}
        assert served.catalog.models["gone"].problem == "the registry does not have this model"
        assert not served.manager.ready


async def test_settings_of_a_model_that_is_not_there_are_told(root: Path, models: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    """In the log and in the report, with the name that was meant; a model that this server does not serve is no mistake."""
    models.write_mlp(root)
    served = House(root, ModelOptions(), (Wanted("tagged"),), taged={"slo_ms": 9}, zebra={"slo_ms": 9}, mlp={"slo_ms": 9})

    with caplog.at_level(logging.WARNING):
        await served.manager.start()
    report = CheckReport.of(served.catalog, served.manager.warnings)
    await served.manager.aclose()

    assert report.problems == ()
    assert report.warnings == (
        "the settings name the model 'taged', but the registry does not have it; did you mean 'tagged'?",
        "the settings name the model 'zebra', but the registry does not have it",
    )
    assert caplog.messages == list(report.warnings)


async def test_registry_that_is_not_there_at_the_start_is_an_error(tmp_path: Path) -> None:
    """There is nothing to serve from."""
    manager = House(tmp_path / "gone", ModelOptions(), ()).manager

    with pytest.raises(RegistryUnreachable):
        await manager.start()

    assert not manager.ready


async def test_broken_newest_version_leaves_its_predecessor_serving(house: Open, root: Path) -> None:
    """At the start as later; the reason is kept, and the server is ready."""
    (root / "tagged" / "2" / "model.onnx").write_bytes(b"")

    async with house() as served:
        assert served.states() == {1: READY, 2: FAILED}
        assert await served.version_of() == 1
        assert served.manager.ready
        with pytest.raises(Unavailable, match="it is empty"):
            await served.ask("2")


async def test_model_without_a_good_version_makes_the_start_unready(house: Open, root: Path) -> None:
    """A server whose model failed to load does not say that it is ready, until the model is mended."""
    shutil.rmtree(root / "tagged" / "2")
    good = (root / "tagged" / "1" / "model.onnx").read_bytes()
    (root / "tagged" / "1" / "model.onnx").write_bytes(b"")

    async with house() as served:
        before = served.manager.ready
        (root / "tagged" / "1" / "model.onnx").write_bytes(good)
        await served.look()
        await served.look()

        assert (before, served.manager.ready) == (False, True)
        assert await served.version_of() == 1


async def test_broken_model_that_is_withdrawn_makes_nothing_unready(house: Open, root: Path) -> None:
    """What the registry does not hold any more is not wanted, until it is there again."""
    (root / "bad" / "1").mkdir(parents=True)
    (root / "bad" / "1" / "model.onnx").write_bytes(b"")

    async with house() as served:
        seen = [served.manager.ready]
        for elsewhere in ((root / "bad", root.with_name("bad")), (root.with_name("bad"), root / "bad")):
            elsewhere[0].rename(elsewhere[1])
            await served.look()
            seen.append(served.manager.ready)

    assert seen == [False, True, False]


async def test_broken_model_that_the_command_line_names_stays_wanted(house: Open, root: Path) -> None:
    """Also when somebody has removed it."""
    (root / "tagged" / "1" / "model.onnx").write_bytes(b"")

    async with house((Wanted("tagged", "1"),)) as served:
        shutil.rmtree(root / "tagged")
        await served.look()

        assert not served.manager.ready


async def test_new_version_without_manifest_is_loaded_after_two_equal_looks(house: Open, root: Path, models: ModuleType) -> None:
    """A file that is still being copied is left alone: each change starts the wait anew."""
    models.write_tagged(root, 3)
    file = root / "tagged" / "3" / "model.onnx"
    whole = file.read_bytes()
    shutil.rmtree(file.parent)

    async with house() as served:
        seen = []
        file.parent.mkdir()
        for part in (whole[:20], whole[:60], whole):
            file.write_bytes(part)
            await served.look()
            seen.append(served.states().get(3))
        await served.look()

        assert seen == [None, None, None]
        assert served.states()[3] is READY
        assert await served.version_of() == 3


async def test_new_version_with_manifest_is_loaded_at_the_first_look(house: Open, root: Path, models: ModuleType) -> None:
    """The manifest is written last, so that nothing needs to be waited for; one that lies is refused."""
    async with house() as served:
        models.write_tagged(root, 3)
        served.write("3/manifest.json", '{"files": {}}')
        await served.look()

        assert served.states() == {2: READY, 3: FAILED}
        assert "manifest.json" in served.catalog.models["tagged"].versions[3].reason


async def test_newer_version_takes_over_and_the_older_one_is_freed(house: Open, root: Path, models: ModuleType) -> None:
    """The older one goes only when the newer one is ready."""
    async with house() as served:
        models.write_tagged(root, 3)
        await served.look()
        served.gate.opened.clear()
        served.gate.waiting.clear()
        await served.manager._look()
        await served.until(served.gate.waiting.is_set)
        during = served.states()[2], await served.version_of()
        served.gate.opened.set()
        await served.settle()

        assert during == (READY, 2)
        assert served.states() == {2: UNLOADED, 3: READY}
        assert await served.version_of() == 3


async def test_versions_that_are_gone_are_forgotten_but_for_the_latest(house: Open, models: ModuleType) -> None:
    """However many there have been: each would leave its series in the metrics."""
    async with house() as opened:
        for number in range(3, 33):
            models.write_tagged(opened.root, number)
            await opened.manager.load("tagged")
            await opened.settle()

        assert await opened.version_of() == 32
        assert sorted(opened.catalog.models["tagged"].versions) == list(range(12, 33))


async def test_replaced_files_are_loaded_beside_switched_and_the_old_ones_drained(house: Open, root: Path, models: ModuleType) -> None:
    """Requests see the old graph until the new one is ready; a request under way keeps the old one until its end."""
    async with house() as served:
        old = served.catalog.find("tagged", "2")
        lease = old.acquire()
        models.save(models.parse(models.TAGGED.replace("VERSION", "22")), root / "tagged" / "2")
        await served.look()
        served.gate.opened.clear()
        served.gate.waiting.clear()
        await served.manager._look()
        await served.until(served.gate.waiting.is_set)
        during = await served.version_of()
        served.gate.opened.set()
        await served.until(lambda: served.catalog.find("tagged", "2") is not old)
        after = await served.version_of()
        await served.until(lambda: old.state is VersionState.DRAINING)
        lease.release()
        await served.settle()

        assert (during, after) == (2, 22)
        assert old.state is UNLOADED
        assert served.catalog.find("tagged").identity.digest != old.identity.digest


async def test_failed_reload_keeps_the_old_files_serving(house: Open, root: Path) -> None:
    """It is tried once for each change, and the reason is told."""
    async with house() as served:
        version = served.catalog.find("tagged")
        (root / "tagged" / "2" / "model.onnx").write_bytes(b"broken")
        for _ in range(4):
            await served.look()

        assert served.catalog.find("tagged") is version
        assert "a reload failed" in version.reason
        assert await served.version_of() == 2
        assert served.manager.ready


async def test_registry_that_vanishes_leaves_everything_serving(house: Open, root: Path) -> None:
    """A directory that is gone says nothing about what is wanted; when it is back, looks go on."""
    async with house() as served:
        shutil.move(root, root.with_name("away"))
        with pytest.raises(RegistryUnreachable):
            await served.manager._look()
        during = await served.version_of()
        shutil.move(root.with_name("away"), root)
        await served.look()

        assert during == 2
        assert served.states() == {2: READY}


@pytest.mark.parametrize("gone", ["tagged", "tagged/2", "tagged/1 and 2"])
async def test_model_or_last_version_that_vanishes_goes_on_serving(house: Open, root: Path, gone: str) -> None:
    """The last good version is never taken away by a missing directory, unless another one is there."""
    async with house(versions=[2]) as served:
        for name in ("tagged/1", "tagged/2") if " " in gone else (gone,):
            shutil.rmtree(root / name)
        await served.look()
        await served.look()

        assert await served.version_of() == 2


async def test_alias_moves_only_once_its_version_is_ready(house: Open, root: Path, models: ModuleType) -> None:
    """Until then requests to it are answered by the version that it named."""
    (root / "tagged" / "aliases.json").write_text('{"champion": "1"}')

    async with house() as served:
        models.write_tagged(root, 3)
        served.write("aliases.json", '{"champion": "3"}')
        before = await served.version_of("champion")
        await served.look()
        served.gate.opened.clear()
        served.gate.waiting.clear()
        await served.manager._look()
        await served.until(served.gate.waiting.is_set)
        during = await served.version_of("champion"), await served.version_of()
        served.gate.opened.set()
        await served.settle()

        assert (before, during) == (1, (1, 1))
        assert (await served.version_of("champion"), await served.version_of()) == (3, 3)
        assert served.states() == {1: READY, 2: UNLOADED, 3: READY}


async def test_alias_of_a_version_that_fails_stays_where_it_was(house: Open, root: Path, models: ModuleType) -> None:
    """And what it named goes on serving, although no rule wants it any more."""
    (root / "tagged" / "aliases.json").write_text('{"champion": "1"}')

    async with house() as served:
        models.write_tagged(root, 3)
        (root / "tagged" / "3" / "model.onnx").write_bytes(b"broken")
        served.write("aliases.json", '{"champion": "3"}')
        await served.look()
        await served.look()

        assert served.states() == {1: READY, 2: READY, 3: FAILED}
        assert await served.version_of("champion") == 1


async def test_alias_that_is_taken_away_is_not_found(house: Open, root: Path) -> None:
    """And its version is freed, if nothing else wants it."""
    (root / "tagged" / "aliases.json").write_text('{"old": "1"}')

    async with house(keep_warm_s=0) as served:
        before = served.states()
        served.write("aliases.json", "{}")
        await served.look()

        assert before == {1: READY, 2: READY}
        assert served.states() == {1: UNLOADED, 2: READY}
        with pytest.raises(NotFound, match="no alias 'old'"):
            await served.ask("old")


@pytest.mark.parametrize("text", ["{", '{"champion": "x"}'])
async def test_broken_aliases_file_changes_nothing(house: Open, root: Path, text: str) -> None:
    """Half-written aliases say nothing about what is wanted."""
    (root / "tagged" / "aliases.json").write_text('{"champion": "1"}')

    async with house() as served:
        served.write("aliases.json", text)
        await served.look()
        await served.look()

        assert served.states() == {1: READY, 2: READY}
        assert await served.version_of("champion") == 1


async def test_explicit_unload_stands_until_a_load(house: Open, root: Path, models: ModuleType) -> None:
    """Looks at the registry bring nothing back, not even a newer version; a load does."""
    async with house() as served:
        await served.manager.unload("tagged")
        with pytest.raises(NotFound, match="no available versions"):
            await served.ask()
        models.write_tagged(root, 3)
        await served.look()
        await served.look()
        during = served.states()
        ready = served.manager.ready
        await served.manager.load("tagged")

        assert (during, ready) == ({2: UNLOADED}, True)
        assert await served.version_of() == 3


async def test_unload_during_a_load_stands(house: Open, root: Path, models: ModuleType) -> None:
    """A version that becomes ready after the unload is drained again."""
    async with house() as served:
        models.write_tagged(root, 3)
        await served.look()
        served.gate.opened.clear()
        served.gate.waiting.clear()
        await served.manager._look()
        await served.until(served.gate.waiting.is_set)
        await served.manager.unload("tagged")
        served.gate.opened.set()
        await served.settle()

        assert READY not in served.states().values()
        with pytest.raises(NotFound, match="no available versions"):
            await served.ask()


async def test_unload_answers_what_is_under_way(house: Open) -> None:
    """The version is freed when its last request has ended."""
    async with house() as served:
        version = served.catalog.find("tagged")
        reply = FutureReply()
        served.predictor.submit(request_for("tagged"), reply)
        await served.manager.unload("tagged")
        response = await reply.future
        await served.settle()

        assert response.version.version == "2"
        assert version.state is UNLOADED


async def test_unload_of_an_unknown_model_is_no_error(house: Open) -> None:
    """It is unloaded already."""
    async with house() as served:
        await served.manager.unload("unheard-of")

        assert "unheard-of" not in served.catalog


async def test_load_of_an_unknown_model_is_not_found(house: Open) -> None:
    """The registry is asked again, and does not have it."""
    async with house() as served:
        with pytest.raises(NotFound, match="the registry has no such model"):
            await served.manager.load("unheard-of")


async def test_load_of_a_broken_model_gives_the_reason_each_time(house: Open, root: Path, broken: ModuleType) -> None:
    """A second load tries again, and succeeds once the files are mended."""
    async with house() as served:
        directory = broken.write_version(root, "text", b"404: Not Found\n")
        for _ in range(2):
            with pytest.raises(PenstockError, match="looks like text"):
                await served.manager.load("broken_text")
        (directory / "model.onnx").write_bytes(broken.parse(broken.GRAPH).SerializeToString())
        await served.manager.load("broken_text")

        assert (await served.ask(name="broken_text")).outputs[0].array.tolist() == [[2, 3, 4, 5]]


async def test_every_broken_version_fails_with_a_reason_beside_a_good_model(house: Open, root: Path, broken: ModuleType) -> None:
    """None of them harms the others, and no reason tells a path of the server."""
    kinds = broken.broken_versions(root)

    async with house() as served:
        states = {kind: served.states(f"broken_{kind}") for kind in kinds}
        reasons = {kind: served.catalog.models[f"broken_{kind}"].versions[1].reason for kind in kinds}

        assert states == {kind: {1: FAILED} for kind in kinds}
        assert [kind for kind, reason in reasons.items() if len(reason) < 15 or "unexpectedly" in reason] == []
        assert [kind for kind, reason in reasons.items() if str(root) in reason and kind != "absolute_data"] == []
        assert await served.version_of() == 2
        assert not served.manager.ready


async def test_senseless_settings_of_one_model_leave_the_others_serving(house: Open, root: Path, models: ModuleType) -> None:
    """A model.toml is its author's, so that it may break its own model only."""
    models.write_mlp(root)
    (root / "mlp" / "model.toml").write_text('versions = "newest"')

    async with house() as served:
        assert await served.version_of() == 2
        assert served.states("mlp") == {1: FAILED}
        assert "newest" in served.catalog.models["mlp"].versions[1].reason


async def test_model_that_mixes_rows_is_served_one_by_one(house: Open, root: Path, models: ModuleType) -> None:
    """The probe finds out, and the note says why."""
    models.save(models.parse(models.MIXES_ROWS), root / "mixes_rows" / "1")

    async with house() as served:
        version = served.catalog.find("mixes_rows")

        assert not version.schema.batched
        assert not version.batcher.scheduler.limits.together
        assert "depends on the other rows" in version.readiness.notes[0]


async def test_poller_looks_by_itself_and_survives_a_bad_look(
    root: Path, models: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither an unreachable registry nor an unforeseen error ends the watch."""
    house = House(root, ModelOptions(max_batch_rows=2, threads=1, lanes=1), ())
    house.manager._poll_s = 0.001
    real, bad = DirectorySource.snapshot, iter([ValueError("unforeseen"), RegistryUnreachable("gone")])

    def snapshot(registry: DirectorySource) -> Snapshot:
        if error := next(bad, None):
            raise error
        return real(registry)

    with caplog.at_level(logging.WARNING):
        await house.manager.start()
        monkeypatch.setattr(DirectorySource, "snapshot", snapshot)
        models.write_tagged(root, 3)
        await house.until(lambda: house.states() == {2: UNLOADED, 3: READY})
        await house.manager.aclose()

    assert "a look at the registry failed" in caplog.text
    assert "gone; what is loaded stays loaded" in caplog.text


async def test_close_drains_everything(house: Open) -> None:
    """Nothing is ready any more, and the memory is free."""
    async with house(versions="all") as served:
        pass

    assert served.states() == {1: UNLOADED, 2: UNLOADED}
