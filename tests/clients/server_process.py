"""A real server in a process of its own, for tests that look at it from outside.

The file stands alone (it imports nothing of ours), so that tests in any directory can load it by its path.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_S = 60
STOP_S = 60
LAST_WORDS = 4_000
PENSTOCK = (sys.executable, "-m", "penstock")

_SAMPLE = re.compile(r"^(?P<name>\w+?)(?:_total)?\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass
class ServerProcess:
    """A server that is up, and how to reach it."""

    process: "subprocess.Popen[bytes]"
    http: str
    grpc: str
    admin: str
    token: str
    log: Path

    @property
    def addresses(self) -> dict[str, str]:
        """Return what a client's script needs to know."""
        return {"http": self.http, "grpc": self.grpc, "admin": self.admin, "token": self.token}

    def terminate(self) -> None:
        """Ask the server to stop, as an orchestrator does."""
        self.process.send_signal(signal.SIGTERM)

    def last_words(self) -> str:
        """Return the end of the server's log."""
        return self.log.read_text(errors="replace")[-LAST_WORDS:]

    def metrics(self) -> str:
        """Return the metrics page."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=20) as answer:
            return str(answer.read().decode())

    def ledger(self) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str, str]]]:
        """Return the predictions received by (protocol, model), and their ends by (protocol, model, outcome)."""
        received: Counter[tuple[str, str]] = Counter()
        outcomes: Counter[tuple[str, str, str]] = Counter()
        for sample in _SAMPLE.finditer(self.metrics()):
            labels = dict(_LABEL.findall(sample["labels"]))
            if sample["name"] == "penstock_received":
                received[labels["protocol"], labels["model"]] += int(float(sample["value"]))
            elif sample["name"] == "penstock_outcomes":
                outcomes[labels["protocol"], labels["model"], labels["outcome"]] += int(float(sample["value"]))
        return received, outcomes


@contextlib.contextmanager
def running(registry: Path, directory: Path, *settings: str, penstock: Sequence[str] = PENSTOCK) -> Iterator[ServerProcess]:
    """Serve `registry` on free ports, with files of the server's own in `directory`; `settings` are `key=value`."""
    ready, log = directory / "ready.json", directory / "server.log"
    command = [*penstock, "serve", "--registry", str(registry), "--ready-file", str(ready)]
    command += ["--http-port", "0", "--grpc-port", "0", "--admin-port", "0"]
    for setting in (f"server.state_dir={directory / 'state'}", *settings):
        command += ["--set", setting]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=directory, env=environment)
    try:
        wait_for(lambda: ready.exists() or process.poll() is not None, START_S)
        assert ready.exists(), f"the server did not start:\n{log.read_text(errors='replace')[-LAST_WORDS:]}"
        addresses: dict[str, Any] = json.loads(ready.read_text())["addresses"]
        token = (directory / "state" / "admin.token").read_text().strip()
        yield ServerProcess(process, addresses["http"], addresses["grpc"], addresses["admin"], token, log)
    finally:
        stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End the process, gently at first."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


@contextlib.contextmanager
def own_directory() -> Iterator[Path]:
    """Make a directory that lasts as long as a server."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as directory:
        yield Path(directory)


def wait_for(holds: Callable[[], bool], limit_s: float) -> None:
    """Wait until the condition holds, or the limit has passed: the caller then looks at what is missing."""
    deadline = time.monotonic() + limit_s
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
