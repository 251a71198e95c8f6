"""What is loaded into a worker process and refused afterwards leaves no process."""

import os
from pathlib import Path
from types import ModuleType

import pytest
from processes import children, is_gone, until

from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.states import VersionState
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.verified import VerifiedRegistry


@pytest.mark.asyncio
async def test_refused_version_leaves_no_worker(tmp_path: Path, models: ModuleType) -> None:
    """A placement that is not kept is seen only when the graph is loaded."""
    models.write_tagged(tmp_path / "registry", 1)
    options = ModelOptions(isolation="process", require_placement={"cuda": 0.9})
    catalog, before = Catalog(), children(os.getpid())
    registry = VerifiedRegistry(DirectorySource(tmp_path / "registry"), Cache(tmp_path / "cache"))
    manager = Manager(registry, Loader(registry, options, {}), catalog, poll_s=0)
    await manager.start()
    version = catalog.models["tagged"].versions[1]
    await manager.aclose()

    assert version.state is VersionState.FAILED
    assert "require_placement" in version.reason
    until(lambda: all(map(is_gone, children(os.getpid()) - before)))
