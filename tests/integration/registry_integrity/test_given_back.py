"""A version's copy is held for as long as the version may need it, and no longer."""

import gc
import shutil
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
