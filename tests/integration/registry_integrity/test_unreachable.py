"""A registry that is out of reach: at the start, and between a look and the load that follows from it."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from manager_house import Gate, House

from penstock.inference.admission import Admission
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Predictor
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.states import VersionState
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.source import ModelListing, RegistryUnreachable, SourceFile, VersionListing
from penstock.registry.verified import VerifiedRegistry

pytestmark = pytest.mark.asyncio
READY, FAILED = VersionState.READY, VersionState.FAILED


class Faltering(DirectorySource):
    """A directory whose files cannot be fetched for some time."""

    away = False

    def files(self, model: ModelListing, version: VersionListing) -> Sequence[SourceFile]:
        """Return the files, or be out of reach."""
        if self.away:
            raise RegistryUnreachable("the registry does not answer")
        return super().files(model, version)


class Remote(House):
    """A manager over a source that falters."""

    def __init__(self, root: Path) -> None:
        self.root, self.gate, self.catalog = root, Gate(), Catalog()
        self.source = Faltering(root)
        registry = VerifiedRegistry(self.source, Cache(root.with_name("cache")))
        loader = Loader(registry, ModelOptions(threads=1, lanes=1, warmup="off"), {})
        self.manager = Manager(registry, loader, self.catalog, poll_s=0)
        self.predictor = Predictor(Ledger(self.catalog), Admission(30, 600), self.catalog)


async def test_load_that_lost_its_registry_is_tried_again_at_the_next_look(root: Path, models: ModuleType) -> None:
    """Once for each look; nothing is wrong with the version."""
    house = Remote(root)
    await house.manager.start()
    models.write_tagged(root, 3)
    house.source.away = True
    await house.look()
    await house.look()
    during = house.states()[3], await house.version_of()
    reason = house.catalog.models["tagged"].versions[3].reason
    house.source.away = False
    await house.look()

    assert during == (FAILED, 2)
    assert reason == "tagged/3 cannot be fetched now: the registry does not answer"
    assert (house.states()[3], await house.version_of()) == (READY, 3)
    await house.manager.aclose()


async def test_reload_that_lost_its_registry_is_tried_again_at_the_next_look(root: Path) -> None:
    """Meanwhile the old files of the number answer."""
    house = Remote(root)
    await house.manager.start()
    (root / "tagged/2/model.onnx").write_bytes((root / "tagged/1/model.onnx").read_bytes())
    house.source.away = True
    for _ in range(3):
        await house.look()
    during = await house.version_of()
    house.source.away = False
    await house.look()

    assert (during, await house.version_of()) == (2, 1)
    await house.manager.aclose()


async def test_restart_without_the_registry_serves_from_the_cache_and_follows_when_it_is_back(root: Path, models: ModuleType) -> None:
    """The same versions under the same aliases."""
    (root / "tagged/aliases.json").write_text('{"champion": "1"}')
    first = Remote(root)
    await first.manager.start()
    await first.manager.aclose()
    away = Path(shutil.move(root, root.with_name("away")))

    second = Remote(root)
    await second.manager.start()
    during = second.states(), second.manager.ready, await second.version_of(), await second.version_of("2")
    shutil.move(away, root)
    models.write_tagged(root, 3)
    await second.look()
    await second.look()

    assert during == ({1: READY, 2: READY}, True, 1, 2)
    assert second.states()[3] is READY
    await second.manager.aclose()
