"""Registries to publish into: directories, and buckets of a real S3 server in a process of its own."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import httpx2
import pytest
from obstore import store
from quiet_port import quiet_port

from penstock.registry.candidate import Candidate, candidate_of

STARTS_WITHIN_S = 60


@dataclass
class S3Server:
    """moto's server, which keeps its objects in memory and honours If-Match and If-None-Match."""

    process: "subprocess.Popen[bytes]"
    address: str

    @property
    def variables(self) -> dict[str, str]:
        """What a client finds in its environment."""
        return {
            "AWS_ACCESS_KEY_ID": "penstock",
            "AWS_SECRET_ACCESS_KEY": "not-to-be-shown",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.address,
        }

    def bucket(self) -> str:
        """Make a bucket, and return the URI of a registry in it."""
        name = f"models-{uuid4().hex[:12]}"
        assert httpx2.put(f"{self.address}/{name}").status_code == 200
        return f"s3://{name}/prod"

    def put(self, uri: str, name: str, content: bytes) -> None:
        """Write an object by other means than a publisher's."""
        store.from_url(uri, client_options={"allow_http": True}).put(name, content)

    def mark_folder(self, uri: str, folder: str) -> None:
        """Write the empty object by which a console makes a folder ("" or a path with a slash at its end)."""
        assert httpx2.put(f"{self.address}/{uri.removeprefix('s3://')}/{folder}").status_code == 200

    def stop(self) -> None:
        """End the server, and with it every object."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def serving_s3(log: Path, port: int = 0) -> Iterator[S3Server]:
    """Run an S3 server, on a free port if none is named."""
    port = port or quiet_port()
    command = [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    server = S3Server(process, f"http://127.0.0.1:{port}")
    try:
        _wait(server)
        yield server
    finally:
        server.stop()


def _wait(server: S3Server) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while True:
        with contextlib.suppress(httpx2.TransportError):
            httpx2.get(server.address)
            return
        assert server.process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="package")
def shared_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run the server that the tests share; each makes a bucket of its own."""
    with serving_s3(tmp_path_factory.mktemp("s3") / "log") as server:
        yield server


@pytest.fixture
def s3(shared_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """Return the shared server, with this process as its client."""
    _become_client(shared_s3, monkeypatch)
    return shared_s3


@pytest.fixture
def port() -> int:
    """Return a port that nobody listens on."""
    return quiet_port()


@pytest.fixture
def late_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[S3Server]]:
    """Become the client of a server that does not run yet; return what runs it."""
    port = quiet_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "not-to-be-shown")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return lambda: serving_s3(tmp_path / "s3.log", port)


@pytest.fixture
def own_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """Run a server that the test may stop."""
    with serving_s3(tmp_path / "s3.log") as server:
        _become_client(server, monkeypatch)
        yield server


def _become_client(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "PENSTOCK_"))]:
        monkeypatch.delenv(name)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["directory", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return an empty registry of either kind."""
    if request.param == "s3":
        return str(request.getfixturevalue("s3").bucket())
    (tmp_path / "registry").mkdir()
    return str(tmp_path / "registry")


@pytest.fixture
def build(tmp_path: Path, models: ModuleType) -> Path:
    """Return a directory with a model and its external data, ready to be published."""
    models.write_with_weights_file(tmp_path / "build")
    return tmp_path / "build"


@pytest.fixture
def candidate(build: Path) -> Candidate:
    """Return that model, checked."""
    return candidate_of(build, "model.onnx", lambda _total: nullcontext(lambda _bytes: None))


@pytest.fixture
def penstock(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Return what runs the command for real."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [Path(sys.executable).with_name("penstock"), *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)

    return run
