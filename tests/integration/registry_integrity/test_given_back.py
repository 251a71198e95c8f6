"""A version's copy is held for as long as the version may need it, and no longer."""

import gc
import shutil
import weakref
from pathlib import Path
from types import ModuleType

import pytest
from manager_house import House

from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.states import VersionState
from penstock.registry.cache import Cache

pytestmark = pytest.mark.asyncio


def kept(root: Path) -> set[bytes]:
    """Return the graphs of the copies that are still there once all that nobody uses is gone."""
    gc.disable()  # what is given back is given back at once, not when the collector finds it
    try:
        cache = root.with_name("cache")
        Cache(cache).trim(0)
        return {path.read_bytes() for path in cache.rglob("model.onnx")}
    finally:
        gc.enable()


def graphs(root: Path, *numbers: int) -> set[bytes]:
    """Return the graphs of versions as they lie in the registry."""
    return {(root / "tagged" / str(number) / "model.onnx").read_bytes() for number in numbers}


async def test_copies_of_what_serves_are_held_and_those_of_what_drained_are_not(root: Path, models: ModuleType) -> None:
    """Also at the end, when all have been drained."""
    house = House(root, ModelOptions(threads=1, lanes=1, warmup="off", versions="all", keep_warm_s=0), ())
    await house.manager.start()
    both = kept(root)
    gone = graphs(root, 1)
    house.write("model.toml", "versions = [2]")
    await house.look()
    await house.look()
    one = kept(root)
    await house.manager.aclose()

    assert both == gone | graphs(root, 2)
    assert one == graphs(root, 2)
    assert kept(root) == set()


async def test_what_ran_a_version_is_gone_with_it(root: Path) -> None:
    """With its weights: the collector, which looks seldom at what is old, is not waited for."""
    house = House(root, ModelOptions(threads=1, lanes=1, warmup="off", versions="all", keep_warm_s=0), ())
    await house.manager.start()
    gc.disable()
    try:
        await house.ask("1")
        ran = weakref.ref(house.catalog.models["tagged"].versions[1].batcher)
        house.write("model.toml", "versions = [2]")
        await house.look()
        await house.look()
        assert house.states()[1] is VersionState.UNLOADED
        assert ran() is None
    finally:
        gc.enable()
        await house.manager.aclose()


@pytest.mark.parametrize("kind", ["new_opset", "complex_input"])
async def test_copy_of_a_version_that_the_engine_refuses_is_given_back(root: Path, tmp_path: Path, broken: ModuleType, kind: str) -> None:
    """It passed every check of its files, so it was copied and held."""
    bad = broken.broken_versions(tmp_path / "broken")[kind]
    house = House(root, ModelOptions(threads=1, lanes=1, warmup="off"), ())
    await house.manager.start()
    shutil.copytree(bad, root / "tagged" / "3")
    for _ in range(2):
        await house.look()

    assert house.states()[3] is VersionState.FAILED
    assert kept(root) == graphs(root, 2)
    await house.manager.aclose()
