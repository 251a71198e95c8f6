"""A server that asks for keys, over both routes of HTTP, and keys of all kinds."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "contract"))
sys.path.insert(0, str(Path(__file__).parent))

from keyring import KEYS, Keyed, put
from serving import Serving

from penstock.security.keys import Key


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Path:
    """Two models, one of them with two versions, and one that takes its time."""
    root = tmp_path_factory.mktemp("registry")
    models.write_versioned_addsub(root)
    models.write_slow(root)
    models.write_configured_model(root, "id_fp32", models.identity("id_fp32", "float", "batch,n"), 8)
    return root


@pytest.fixture(scope="session")
def keyed(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Keyed:
    """Return a function that runs a server with a file of keys as long as its context lasts."""

    @contextmanager
    def running(*settings: str, route: str = "fast", keys: tuple[Key, ...] = KEYS) -> Iterator[Serving]:
        home = tmp_path_factory.mktemp("keyed")
        put(home / "keys.json", *keys)
        with Serving(registry, home, route).during("security.keys_file=keys.json", 'models.slow.warmup="off"', *settings) as serving:
            yield serving

    return running


@pytest.fixture(scope="module", params=["fast", pytest.param("plain", marks=pytest.mark.slow), "grpcio"])
def server(request: pytest.FixtureRequest, keyed: Keyed) -> Iterator[Serving]:
    """The server of a module, over each route of HTTP and each transport of gRPC."""
    with keyed(route=request.param) as serving:
        yield serving
