"""A browser, applications on a free port to browse, and managers over a registry."""

import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
import uvicorn
from starlette.applications import Starlette

from penstock.lifecycle.manager import Wanted
from penstock.lifecycle.options import ModelOptions

sys.path.insert(0, str(Path(__file__).parent))  # the module beside this one, whatever pytest's import mode

from browser import Browse, browse_with
from manager_house import House, Open


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """A browser that opens an address and waits until nothing moves any more."""
    return partial(browse_with, tmp_path)


@pytest.fixture
def serve_app() -> Iterator[Callable[[Starlette], str]]:
    """Serve an app on a free port until the test ends; return its address."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def serve(app: Starlette) -> str:
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        servers.append((server, thread))
        while not server.started:
            time.sleep(0.005)
        host, port = server.servers[0].sockets[0].getsockname()
        return f"http://{host}:{port}"

    yield serve
    for server, thread in servers:
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture
def root(tmp_path: Path, models: ModuleType) -> Path:
    """Return a registry of `tagged` with versions 1 and 2."""
    root = tmp_path / "registry"
    models.write_tagged(root, 1)
    models.write_tagged(root, 2)
    return root


@pytest.fixture
def house(root: Path) -> Open:
    """Return a function that runs a manager over the registry for as long as its context lasts."""

    @asynccontextmanager
    async def opened(only: tuple[Wanted, ...] = (), **options: object) -> AsyncIterator[House]:
        house = House(root, ModelOptions(max_batch_rows=2, threads=1, lanes=1, **options), only)  # type: ignore[arg-type]
        try:
            await house.manager.start()
            yield house
        finally:
            house.gate.opened.set()
            await house.manager.aclose()

    return opened
