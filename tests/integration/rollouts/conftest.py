"""A server with models whose version 2 fails where version 1 answers, and what tests ask of its rollouts."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the module beside this one, whatever pytest's import mode

from rollout_site import Site

MODELS = ("good", "bad", "held", "starved", "refused", "shown", "ordered")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, models: ModuleType, server_process: ModuleType) -> Iterator[Site]:
    """Return a server that runs as long as the tests of a module; each test has a model of its own."""
    home = tmp_path_factory.mktemp("rollouts")
    for name in MODELS:
        models.write_lookup(home / "registry", name)
    with server_process.running(home / "registry", home, "registry.poll_s=0") as server, Site(server) as site:
        yield site
