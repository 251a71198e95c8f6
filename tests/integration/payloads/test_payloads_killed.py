"""A server that is killed leaves files that can be read, and its successor finishes them."""

import contextlib
import threading
from pathlib import Path
from types import ModuleType

import pytest
from serving import Serving, until

from penstock.payloads.reading import open_files, rows_of, sealed_files

ASKED = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 64], "data": [0.5] * 64}]}
SETTINGS = ("defaults.payloads.sample=1.0", "payloads.flush_s=0.01", "payloads.rotate_bytes=20000", "payloads.rotate_s=0.05")


def kill_under_load(serving: Serving, answered: int) -> list[str]:
    """Ask until so many answers are there, kill the server meanwhile, and return the ids of the answered requests."""
    ids: list[str] = []

    def go_on() -> None:
        try:
            while True:
                name = f"{serving.pid}-{len(ids)}"
                answer = serving.client.post("/v2/models/id_fp32/infer", json=ASKED, headers={"x-request-id": name})
                assert answer.status_code == 200
                ids.append(name)
        except Exception:  # the server is gone
            return

    thread = threading.Thread(target=go_on)
    thread.start()
    until(lambda: len(ids) >= answered and ids[0] in written_ids(serving))
    serving.kill()
    thread.join(30)
    return ids


def written_ids(serving: Serving) -> set[str]:
    """Return the ids of all rows, those in files that are not sealed too."""
    root = serving.state / "payloads"
    found: set[str] = set()
    for path in sealed_files(root) + open_files(root):
        with contextlib.suppress(FileNotFoundError):  # sealed meanwhile
            found.update(row["request_id"] for row in rows_of(path))
    return found


def check_kills(serving: Serving, kills: int) -> None:
    """Kill the server at as many moments; each sealed file is to be whole each time."""
    root = serving.state / "payloads"
    for number in range(kills):
        serving.start(*SETTINGS)
        ids = kill_under_load(serving, 20 + 7 * number)
        rows = [row["request_id"] for path in sealed_files(root) for row in rows_of(path)]
        assert len(rows) == len(set(rows))
        assert ids[0] in written_ids(serving), "what was written is still there"


@pytest.fixture
def serving(tmp_path: Path, models: ModuleType) -> Serving:
    """A server of one model, not started."""
    root = tmp_path / "registry"
    models.write_configured_model(root, "id_fp32", models.identity("id_fp32", "float", "batch,n"), 8)
    return Serving(root, tmp_path)


def finished(serving: Serving) -> None:
    """Let a successor finish what is left: nothing is hidden any more, and all rows are whole."""
    serving.start(*SETTINGS)
    serving.client.post("/v2/models/id_fp32/infer", json=ASKED)
    root = serving.state / "payloads"
    until(lambda: not list(root.rglob(".*")))
    assert all(row["model"] == "id_fp32" for path in sealed_files(root) for row in rows_of(path))
    serving.stop()


def test_a_server_that_is_killed_leaves_whole_files(serving: Serving) -> None:
    """At ten moments."""
    try:
        check_kills(serving, 10)
        finished(serving)
    finally:
        serving.kill()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_that_is_killed_a_hundred_times_leaves_whole_files(serving: Serving) -> None:
    """At a hundred moments."""
    try:
        check_kills(serving, 100)
        finished(serving)
    finally:
        serving.kill()
