"""The scenarios of `make load` are sound, and their runner tells what it found by its exit code."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest

from tests.conftest import load

LOADTESTS = Path(__file__).parents[2] / "loadtests"
SCENARIOS = sorted((LOADTESTS / "scenarios").glob("*.toml"))
KEPT, BROKEN, UNREADABLE, INVALID = 0, 1, 2, 3

SCENARIO = """
about = "one phase with one stream"

[[phase]]
name = "short"
duration_s = 0.5
warmup_s = 0.2

[[phase.stream]]
model = "iris"
load = {{ type = "constant", rate = {rate} }}
max_outstanding = {outstanding}
thresholds = ["{threshold}"]
{more}
"""


def written(path: Path, *, threshold: str = "error_rate==0", rate: int = 50, outstanding: int = 100, more: str = "") -> Path:
    """Write a scenario and return where it is."""
    path.write_text(SCENARIO.format(threshold=threshold, rate=rate, outstanding=outstanding, more=more))
    return path


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run scenarios to their end."""
    command = [sys.executable, str(LOADTESTS / "run.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_the_steady_scenario_keeps_its_limits(tmp_path: Path) -> None:
    """The short run that CI makes: every request is answered, and the ledger balances. How soon is the machine's business."""
    steady = (LOADTESTS / "scenarios" / "steady.toml").read_text()
    patient = tmp_path / "steady.toml"
    patient.write_text(steady.replace("p(99)<250ms", "p(99)<20s"))

    done = run("--scale", 0.2, patient)

    if done.returncode == INVALID:
        pytest.skip(f"this machine is too busy for a load test:\n{done.stdout}")
    assert done.returncode == KEPT, done.stdout + done.stderr
    assert "the ledger balances over" in done.stdout


def test_each_limit_that_is_broken_is_named(tmp_path: Path) -> None:
    """Beyond its capacity a server may refuse, in the ways that the file names; any other failure breaks the scenario."""
    # Three features where the model takes four.
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"inputs": [{"name": "features", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}')
    scenario = written(tmp_path / "broken.toml", threshold="rps>1", more=f'payload = "{wrong}"\nrefusals = ["HTTP 429"]')

    done = run(scenario)

    assert done.returncode == BROKEN, done.stdout + done.stderr
    assert "BROKEN: rps>1: measured 0 /s" in done.stdout
    assert "BROKEN: HTTP 400: only HTTP 429 may refuse" in done.stdout


def test_a_generator_that_fell_behind_measures_nothing(tmp_path: Path) -> None:
    """A run in which requests were not sent when they were due is invalid, whatever the answers were."""
    # One request under way at a time: most of those that are due cannot be sent.
    done = run(written(tmp_path / "behind.toml", rate=20_000, outstanding=1))

    assert done.returncode == INVALID, done.stdout + done.stderr
    assert "of the requests that were due were sent" in done.stdout


@pytest.mark.parametrize(
    "settings, why",
    [
        ({"threshold": "p(99)<soon"}, "'p(99)<soon'"),
        ({"more": "colour = 1"}, "unknown field `colour` - at `$.phase[0].stream[0]`"),
        ({"more": "protocol = 'http/3'"}, "'http/3' - at `$.phase[0].stream[0].protocol`"),
    ],
)
def test_a_scenario_that_cannot_be_read_is_named(tmp_path: Path, settings: dict[str, str], why: str) -> None:
    """The message says which file, and where in it; no server is started."""
    path = written(tmp_path / "unreadable.toml", **settings)

    done = run(path)

    assert (done.returncode, done.stdout) == (UNREADABLE, "")
    assert str(path) in done.stderr
    assert why in done.stderr


def test_every_scenario_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file of the directory, and together they leave room in the five minutes of `make load`."""
    monkeypatch.syspath_prepend(str(LOADTESTS))
    from scenario import read

    scenarios = [read(path) for path in SCENARIOS]

    assert {path.stem for path in SCENARIOS} >= {"steady", "spike", "saturation", "mixed", "large_tensors", "slow_clients"}
    assert sum(phase.duration_s + phase.warmup_s for one in scenarios for phase in one.phase) < 150


def test_a_spike_takes_the_middle_fifth(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many requests are due before it, within it and after it as its rates say."""
    monkeypatch.syspath_prepend(str(LOADTESTS))
    from scenario import Spike

    offsets = Spike(rate=10, peak=100).arrivals(10).offsets_s

    assert list(offsets) == sorted(offsets)
    counts = [sum(low <= offset < high for offset in offsets) for low, high in ((0, 4), (4, 6), (6, 10))]
    assert counts == [40, 200, 40]


class Booked:
    """A server of which nothing is known but its ledger."""

    def __init__(self, received: int, answered: int, running: int = 0) -> None:
        self._received, self._answered, self._running = received, answered, running

    def ledger(self) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str, str]]]:
        return Counter({("http", "iris"): self._received}), Counter({("http", "iris", "answered"): self._answered})

    def metrics(self) -> str:
        return f'penstock_requests_running{{model="iris",version="1"}} {self._running:.1f}\n'


def test_a_prediction_without_an_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was received and never ended, and one that is still under way."""
    monkeypatch.syspath_prepend(str(LOADTESTS))
    import ledger

    monkeypatch.setattr(ledger, "_PATIENCE_S", 0)

    assert ledger.imbalance(Booked(2, 2)) == ""
    assert "does not balance" in ledger.imbalance(Booked(2, 1))
    assert "1 requests or runs are under way" in ledger.imbalance(Booked(2, 2, running=1))


class Gone:
    """A server that has died."""

    def ledger(self) -> None:
        raise OSError("connection refused")

    def last_words(self) -> str:
        return "out of memory"


def test_last_words_of_a_server_that_has_died_are_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It broke the scenario, whatever its streams had measured before."""
    monkeypatch.syspath_prepend(str(LOADTESTS))
    module = load(LOADTESTS / "run.py")
    stream = SimpleNamespace(row=("",) * 8, notes=(), code=KEPT)
    monkeypatch.setattr(module, "serving", lambda _: contextlib.nullcontext(Gone()))
    monkeypatch.setattr(module, "_phase", lambda *_: [stream])

    assert module.run(SimpleNamespace(phase=[None])) == BROKEN
    assert "BROKEN: the server does not tell its metrics: connection refused\nout of memory" in capsys.readouterr().out


class Deaf:
    """A listener that lets clients connect and cuts each one off after a while."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.heard: list[bytes] = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                self.heard.append(line.recv(1 << 20))
                line.close()


def test_slow_clients_never_finish_and_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One ends within its head, one within its body, one asks for more than anybody reads; who is cut off connects anew."""
    monkeypatch.syspath_prepend(str(LOADTESTS))
    import slow_clients

    monkeypatch.setattr(slow_clients, "_BYTE_EACH_S", 0.01)
    message = b"POST /v2/models/iris/infer HTTP/1.1\r\nContent-Length: 100\r\n\r\n" + b" " * 100

    with Deaf() as server, slow_clients.SlowClients(server.address, message, 3) as clients:
        until = time.monotonic() + 20
        while clients.cut_off < 6:
            assert time.monotonic() < until, "those who are cut off do not come again"
            time.sleep(0.01)

    head, body, pages = server.heard[:3]
    assert message.startswith(head)
    assert b"\r\n" not in head
    assert message.startswith(body)
    assert len(message) - 60 <= len(body) < len(message)
    assert pages.startswith(b"GET /openapi.json HTTP/1.1\r\n")
    assert len(server.heard) > 3
