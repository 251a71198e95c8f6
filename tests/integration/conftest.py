"""A browser, and applications on a free port to browse."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette

sys.path.insert(0, str(Path(__file__).parent))  # the module beside this one, whatever pytest's import mode

from browser import Browse, browse_with


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
