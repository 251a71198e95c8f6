"""F01, F03, F04, F06: servers that are told to stop, once, twice, too early, or not at all."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import httpx2
import pytest
from serving import GOOD, Serving, until

from penstock.payloads.reading import rows_of, sealed_files

SLOW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [2.0]}]}
RECORDED = ("defaults.payloads.sample=1.0", "payloads.rotate_s=3600", "payloads.flush_s=0.05")


@pytest.mark.slow
def test_idle_server_ends_at_once(serving: Serving) -> None:
    """F01: with 0, though it would have an hour for what is under way."""
    serving.start("server.drain_s=3600")
    serving.assert_serving()

    serving.stop()


def test_second_signal_ends_the_waiting(serving: Serving) -> None:
    """F03: what is under way is answered 503, the exit code is 1, and what was recorded is in a sealed file."""
    serving.start("server.drain_s=3600", *RECORDED, 'models.slow.warmup="off"')
    serving.assert_serving()
    told: list[httpx2.Response] = []
    asking = [threading.Thread(target=lambda: told.append(serving.client.post("/v2/models/slow/infer", json=SLOW))) for _ in range(3)]
    for thread in asking:
        thread.start()
    until(lambda: serving.in_flight("slow") == 3)

    os.kill(serving.pid, signal.SIGTERM)
    until(lambda: "draining: " in serving.log)
    os.kill(serving.pid, signal.SIGINT)

    for thread in asking:
        thread.join(20)
    assert serving._process.wait(20) == 1
    assert 503 in {answer.status_code for answer in told} <= {200, 503}
    assert "were not finished in time" in serving.log
    rows = [row["status"] for path in sealed_files(serving.state / "payloads") for row in rows_of(path)]
    assert len(rows) == 2 + len(told), "each prediction has its row, the last ones too"


def test_server_that_is_still_loading_ends(serving: Serving, tmp_path: Path, models: ModuleType) -> None:
    """F04: in the middle of a run that takes minutes; the load is abandoned, and the process ends with 0."""
    models.write_slow(tmp_path / "models", rounds=100_000_000)
    port, log = free_port(), tmp_path / "log"
    command = [*serving.command, "serve", "--registry", tmp_path / "models", "--http-port", port, "--grpc-port", 0, "--admin-port", 0]
    with log.open("wb") as output:
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output, cwd=tmp_path)
    try:
        until(lambda: state_of("slow", port) == "LOADING")
        assert health(port) == {"live": 200, "ready": 503}

        process.send_signal(signal.SIGTERM)

        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in log.read_text()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def state_of(model: str, port: int) -> str:
    """Return the state of a model's version, "" if nobody answers or has heard of it."""
    with contextlib.suppress(httpx2.TransportError):
        entries = httpx2.post(f"http://127.0.0.1:{port}/v2/repository/index").json()
        return next((str(entry["state"]) for entry in entries if entry["name"] == model), "")
    return ""


def health(port: int) -> dict[str, int]:
    """Return what the two questions of health are answered."""
    return {name: httpx2.get(f"http://127.0.0.1:{port}/v2/health/{name}").status_code for name in ("live", "ready")}


@pytest.mark.slow
def test_killed_server_is_ready_again_without_cleaning(serving: Serving, figure: Callable[..., float]) -> None:
    """F06: on the same state, with half a file of payloads, a draft of a token and a ready file left behind."""
    serving.start(*RECORDED)
    serving.assert_serving()
    token, first = serving.token, serving.pid
    until(lambda: figure(serving, "penstock_payload_rows_total{") == 2)
    serving.kill()
    (serving.state / f"admin.token.{first}").write_text("half")

    again = Serving(serving.registry, serving._home)
    with again.during(*RECORDED):
        again.assert_serving()

        assert again.token == token
        assert again.client.get("/v2/health/ready").status_code == 200
        until(lambda: not list((again.state / "payloads").rglob(f".*-{first}-*")))
    rows = [row for path in sealed_files(again.state / "payloads") for row in rows_of(path)]
    assert len(rows) == 4
    assert GOOD["inputs"][0]["data"] in [row["inputs"][0]["data"] for row in rows]  # type: ignore[index]
