"""A `penstock serve` process and everything that a test asks of it."""

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self, TypeVar

import grpc
import httpx2
from transports import GrpcTransport, HttpTransport, Transport

STARTS_WITHIN_S: Final = 60
STOPS_WITHIN_S: Final = 40
COMMANDS: Final[dict[str, list[str | Path]]] = {
    "fast": [Path(sys.executable).with_name("penstock")],
    "plain": [sys.executable, Path(__file__).with_name("plain_server.py")],
    "grpcio": [Path(sys.executable).with_name("penstock")],
}
"""The two routes of a prediction over HTTP: the fast path, which is the product, and the application as plain ASGI; and the product
with grpcio as the transport of gRPC."""
SETTINGS: Final = {"grpcio": ('grpc.transport="grpcio"',)}
"""What a route is chosen by."""
OUTCOMES: Final = {"answered", "client_error", "shed", "expired", "cancelled", "failed"}
GOOD: Final = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}]}
"""A question that every registry here can answer, with the model id_fp32."""
_T = TypeVar("_T")
_LEDGER: Final = re.compile(r"^penstock_(received|outcomes)_total\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


class Serving:
    """A running server. Start it with `start`, and end it with `stop`, which asserts that it ends well."""

    def __init__(self, registry: Path, home: Path, route: str = "fast", tls: ssl.SSLContext | None = None) -> None:
        """Build; `tls` is what a client needs to know of a server that speaks it over HTTP."""
        self.registry: Final = registry
        self.route: Final = route
        self.tls: Final = tls
        self.command: list[str | Path] = COMMANDS[route]
        self._home = home
        self._state = home / "state"
        self._log = home / "log"
        self.addresses: dict[str, str] = {}

    def start(self, *settings: str) -> None:
        """Start, with `key=value` settings, and return once every version is ready or failed."""
        ready = self._home / "ready.json"
        ready.unlink(missing_ok=True)  # a server that was killed has left its own
        command = [*self.command, "serve", "--registry", self.registry]
        command += ["--http-port", "0", "--grpc-port", "0", "--admin-port", "0", "--ready-file", ready]
        # A generous target, for a busy machine must not refuse what a test sends at once.
        for setting in (
            f"server.state_dir={self._state}",
            "registry.poll_s=0",
            "defaults.slo_ms=60000",
            *SETTINGS.get(self.route, ()),
            *settings,
        ):
            command += ["--set", setting]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PENSTOCK_")}
        environment["PYTHONHASHSEED"] = "0"  # two servers say `Allow: GET, HEAD` in the same order
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, cwd=self._home, env=environment)
        until(lambda: ready.exists() or self._process.poll() is not None, within_s=STARTS_WITHIN_S)
        assert ready.exists(), f"the server ended with {self._process.returncode}:\n{self.log}"
        document = json.loads(ready.read_text())
        assert document["pid"] == self._process.pid
        self.addresses = document["addresses"]
        self._connect()

    def _connect(self) -> None:
        scheme, verify = ("https", self.tls) if self.tls else ("http", True)
        self.client: Final = httpx2.Client(base_url=f"{scheme}://{self.addresses['http']}", timeout=30, verify=verify)
        self.admin: Final = httpx2.Client(base_url=f"{scheme}://{self.addresses['admin']}", timeout=60, verify=verify)
        limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.channel: Final = grpc.insecure_channel(self.addresses["grpc"], options=limits)
        self.http: Final = HttpTransport(self.client)
        self.grpc: Final = GrpcTransport(self.channel)
        self.transports: Final[dict[str, Transport]] = {"http": self.http, "grpc": self.grpc}

    @contextmanager
    def during(self, *settings: str) -> Iterator[Self]:
        """Run with settings as long as the context lasts; where that ends well, the ledger balances and the server ends well too."""
        try:
            self.start(*settings)
            yield self
            self.assert_balanced()
            self.stop()
        finally:
            self.kill()

    def stop(self) -> None:
        """Ask the server to end, and assert that it does, with exit code 0."""
        for closable in (self.client, self.admin, self.channel):
            closable.close()
        self.begin_to_stop()
        self.assert_stopped()

    def begin_to_stop(self) -> None:
        """Ask the server to end; it drains first."""
        self._process.send_signal(signal.SIGTERM)

    def assert_stopped(self) -> None:
        """Assert that the server, which has been asked to, ends in time and with exit code 0."""
        try:
            assert self._process.wait(STOPS_WITHIN_S) == 0, self.log
        finally:
            self.kill()

    def kill(self) -> None:
        """Make sure that nothing is left, whatever has happened."""
        if hasattr(self, "_process") and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def state(self) -> Path:
        """The state directory."""
        return self._state

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return self._log.read_text(errors="replace")

    @property
    def token(self) -> str:
        """The admin token, which the server made at its start."""
        return (self._state / "admin.token").read_text().strip()

    @property
    def authorized(self) -> dict[str, str]:
        """The header, or metadata, that management asks for."""
        return {"authorization": f"Bearer {self.token}"}

    def load(self, model: str) -> httpx2.Response:
        """Load a model through the repository extension."""
        return self.admin.post(f"/v2/repository/models/{model}/load", headers=self.authorized)

    def unload(self, model: str) -> httpx2.Response:
        """Unload a model through the repository extension."""
        return self.admin.post(f"/v2/repository/models/{model}/unload", headers=self.authorized)

    def counters(self) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str, str]]]:
        """Return what the ledger says: received by (protocol, model), ends by (protocol, model, outcome)."""
        received: Counter[tuple[str, str]] = Counter()
        ended: Counter[tuple[str, str, str]] = Counter()
        page = self.admin.get("/metrics")
        assert page.status_code == 200
        for name, labelled, value in _LEDGER.findall(page.text):  # a whole page is long to parse
            labels = dict(_LABEL.findall(labelled))
            if name == "received":
                received[labels["protocol"], labels["model"]] += int(float(value))
            else:
                ended[labels["protocol"], labels["model"], labels["outcome"]] += int(float(value))
        return received, ended

    def outcomes(self, model: str, outcome: str) -> int:
        """Return how many predictions of a model over HTTP have ended so."""
        return self.counters()[1]["http", model, outcome]

    def in_flight(self, model: str) -> int:
        """Return how many predictions of a model have been received and have not ended."""
        received, ended = self.counters()
        came = sum(count for (_, name), count in received.items() if name == model)
        return came - sum(count for (_, name, _), count in ended.items() if name == model)

    def assert_balanced(self) -> None:
        """Assert, once idle, that for each protocol and model every prediction received has had exactly one end."""
        until(self._is_balanced, within_s=10, otherwise=lambda: f"the ledger does not balance: {self.counters()}")

    def _is_balanced(self) -> bool:
        received, ended = self.counters()
        assert {outcome for _, _, outcome in ended} <= OUTCOMES
        sums: Counter[tuple[str, str]] = Counter()
        for (protocol, model, _), count in ended.items():
            sums[protocol, model] += count
        return +received == +sums

    def assert_serving(self) -> None:
        """Assert that the same process lives, is ready, and answers a good request on both transports."""
        assert self._process.poll() is None, self.log
        for transport in self.transports.values():
            assert transport.alive()
            answer = transport.infer("id_fp32", GOOD)
            assert (answer.family, answer.outputs["Y"].values) == ("OK", [1.0, 2.0]), answer.text


def until(condition: Callable[[], _T], *, within_s: float = 20, otherwise: Callable[[], str] = lambda: "it never held") -> _T:
    """Return what the condition returns once that is true; fail if it is not in time.

    It is asked ever less often, for many conditions ask a server.
    """
    deadline, pause_s = time.monotonic() + within_s, 0.002
    while not (held := condition()):
        assert time.monotonic() < deadline, otherwise()
        time.sleep(pause_s := min(1.5 * pause_s, 0.02))
    return held


@contextmanager
def busy(server: Serving, model: str, ask: Callable[[], _T], callers: int = 2) -> Iterator[list[_T]]:
    """Have callers ask a model again and again meanwhile, beginning with all of them under way; the list has their answers at the end.

    A machine that is slow to look finds them all the same, which it may not where each asks once.
    """
    until(lambda: server.in_flight(model) == 0)
    over, answers = threading.Event(), list[_T]()

    def go_on() -> None:
        while not over.is_set():
            answers.append(ask())

    with ThreadPoolExecutor(callers) as pool:
        asking = [pool.submit(go_on) for _ in range(callers)]
        try:
            until(lambda: server.in_flight(model) == callers)
            yield answers
        finally:
            over.set()
    for caller in asking:
        caller.result()


Serve = Callable[..., Serving]
"""Starts a server of a registry, with further settings."""
