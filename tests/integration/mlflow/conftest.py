"""A real MLflow server, and one who logs models there; both run in `.venv-mlflow`, since they need other versions than we do."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this one, whatever pytest's import mode

from odd_server import OddServer, serving_oddly
from quiet_port import quiet_port

ROOT: Final = Path(__file__).parents[3]
BIN: Final = ROOT / ".venv-mlflow" / "bin"
STARTS_WITHIN_S: Final = 90
_QUIET: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Webhooks go to this machine, without TLS.
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_CACHE_TTL": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass
class MlflowServer:
    """`mlflow server` with its database and its artifacts in one directory."""

    directory: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        """What MLflow's own clients are told."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def uri(self) -> str:
        """What Penstock is told."""
        return f"mlflow+{self.address}"

    def begin(self) -> None:
        """Start the server."""
        command = [BIN / "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.directory}/mlflow.db", "--artifacts-destination", self.directory / "artifacts"]
        with (self.directory / "log").open("ab") as log:
            # A group of its own: the server is two processes.
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | _QUIET, start_new_session=True)

    def wait(self) -> None:
        """Return once the server answers."""
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.address}/health", timeout=5):
                return
            time.sleep(0.1)
        raise AssertionError(f"MLflow did not start:\n{(self.directory / 'log').read_text()[-4000:]}")

    def stop(self) -> None:
        """Kill the server."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


class Registrar:
    """Logs models and moves aliases by MLflow's own API."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def order(self, do: str, *arguments: object, **options: object) -> dict[str, Any]:
        """Have one thing done, and return what comes of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, "with": arguments, **options}) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Return the next answer; MLflow itself prints lines that are none."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise AssertionError("the registrar died; its errors are in the directory of the MLflow server")


@dataclass
class Mlflow:
    """The server and the one who fills it."""

    server: MlflowServer
    registrar: Registrar

    def log(self, model: str, factor: float, **options: object) -> dict[str, Any]:
        """Log and register a version that multiplies by the factor."""
        return self.registrar.order("log", model, factor, **options)

    def call(self, method: str, *arguments: object) -> dict[str, Any]:
        """Call a method of MLflow's client."""
        return self.registrar.order("call", method, *arguments)


@pytest.fixture
def mlflow(one_mlflow: Mlflow) -> Mlflow:
    """The MLflow of all tests, running again if a test has stopped it."""
    if one_mlflow.server.process is None:
        one_mlflow.server.begin()
        one_mlflow.server.wait()
    return one_mlflow


@pytest.fixture(scope="session")
def one_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """One server for all tests, for it takes long to start."""
    if not (BIN / "mlflow").exists():
        pytest.skip("MLflow is not installed: `make test` puts requirements/mlflow.txt into .venv-mlflow")
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"), quiet_port())
    server.begin()
    command = [BIN / "python", Path(__file__).with_name("registrar.py"), server.address]
    with (server.directory / "registrar.log").open("wb") as log:
        registrar = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=os.environ | _QUIET, text=True)
    try:
        server.wait()
        found = Mlflow(server, Registrar(registrar))
        found.registrar.answer()  # it is ready too
        yield found
    finally:
        registrar.kill()
        registrar.communicate()
        server.stop()


@pytest.fixture
def odd() -> Iterator[OddServer]:
    """A server that says of itself whatever a test wants."""
    with serving_oddly() as server:
        yield server
