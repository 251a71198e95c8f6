"""A server with models in worker processes beside one that is not: what happens to a worker happens to its model alone."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from processes import children, is_gone, is_stopped, until
from prometheus_client.parser import text_string_to_metric_families
from serving import GOOD, Serving

ISOLATED = ("victim", "hog", "frozen", "doomed")
ROW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}]}
SLOW_ROW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}]}


def hog_of(elements: int) -> dict[str, Any]:
    """Return a request that takes four bytes times so many."""
    return {"inputs": [{"name": "N", "datatype": "INT64", "shape": [1, 1], "data": [elements]}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Iterator[Serving]:
    """A server of one healthy model on threads and four in processes."""
    root = tmp_path_factory.mktemp("registry")
    same = models.parse(models.identity("same", "float", "batch,n"))
    for name in ("id_fp32", "frozen", "doomed"):
        models.save(same, root / name / "1")
    models.write_hog(root)
    slow = models.SLOW.replace("ROUNDS", "4_000".replace("_", "")).replace("ONES", ", ".join(["1.0"] * 256))
    models.save(models.parse(slow), root / "victim" / "1")
    serving = Serving(root, tmp_path_factory.mktemp("server"))
    isolated = [f'models.{name}.isolation="process"' for name in ISOLATED]
    try:
        serving.start(*isolated, f"models.hog.memory_bytes={600 * 2**20}", "defaults.lanes=1", "defaults.warmup=off")
        yield serving
    finally:
        serving.kill()
        for closable in (serving.client, serving.admin, serving.channel):
            closable.close()


def report(server: Serving, model: str) -> dict[str, Any]:
    """Return what the admin listener tells of the latest version of a model."""
    document = server.admin.get(f"/admin/models/{model}", headers=server.authorized).json()
    return {**document["versions"][-1], "events": document["events"]}


def worker(server: Serving, model: str) -> dict[str, Any]:
    """Return what is told of a model's worker."""
    (told,) = report(server, model)["workers"]
    return dict(told)


def until_up(server: Serving, model: str, before: int = 0) -> int:
    """Wait for the model's worker, or the one after that of a number, and return its number."""
    told = until(lambda: (now := worker(server, model))["state"] == "up" and now["pid"] not in (None, before) and now)
    return int(told["pid"])


def ask(server: Serving, model: str, body: Any, **headers: str) -> Any:
    """Return the answer over HTTP."""
    return server.client.post(f"/v2/models/{model}/infer", json=body, headers=headers)


def samples(server: Serving, name: str, model: str) -> dict[str, float]:
    """Return a metric of a model by its reason or state, else by its device."""
    page = server.admin.get("/metrics").text
    found = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    found = [sample for sample in found if sample.name == name and sample.labels["model"] == model]
    return {s.labels.get("reason") or s.labels.get("state") or s.labels["device"]: s.value for s in found}


class Asking:
    """Asks a model again and again, from a thread."""

    def __init__(self, server: Serving, model: str, body: Any) -> None:
        self.statuses: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(server, model, body))
        self._thread.start()

    def _work(self, server: Serving, model: str, body: Any) -> None:
        while not self._over.is_set():
            self.statuses.append(ask(server, model, body).status_code)

    def end(self) -> set[int]:
        """Stop, and return the statuses that were seen."""
        self._over.set()
        self._thread.join(30)
        return set(self.statuses)


def test_crashes_cost_no_request_of_either_model(server: Serving) -> None:
    """A worker that dies of SIGSEGV under load is replaced; what it had in hand is run again, and its neighbours notice nothing."""
    healthy, victim = Asking(server, "id_fp32", GOOD), Asking(server, "victim", SLOW_ROW)
    pids = [0]
    for _ in range(2):
        pids.append(until_up(server, "victim", pids[-1]))
        answered = len(victim.statuses)
        until(lambda: len(victim.statuses) > answered + 2)  # noqa: B023
        os.kill(pids[-1], signal.SIGSEGV)
        until(lambda: is_gone(pids[-1]))
    until_up(server, "victim", pids[-1])
    healthy_before = len(healthy.statuses)
    until(lambda: len(healthy.statuses) > healthy_before + 10)

    assert (healthy.end(), victim.end()) == ({200}, {200})
    assert samples(server, "penstock_worker_deaths_total", "victim")["crashed"] == 2
    assert samples(server, "penstock_worker_restarts_total", "victim") == {"cpu": 2}
    assert samples(server, "penstock_worker_breaker", "victim")["closed"] == 1
    assert len(set(pids)) == 3


def test_hog_gets_an_error_and_its_neighbours_their_answers(server: Serving) -> None:
    """A request for more memory than its model may take fails; the same model goes on, and so does the server."""
    before = worker(server, "hog")["pid"]
    refused = ask(server, "hog", hog_of(500_000_000))

    assert (refused.status_code, refused.json()["code"]) == (500, "MODEL_FAILED")
    assert ask(server, "hog", hog_of(3)).json()["outputs"][0]["data"] == [3]
    assert worker(server, "hog")["pid"] == before
    server.assert_serving()


def test_stopped_worker_makes_its_model_not_ready_until_it_goes_on(server: Serving) -> None:
    """What waits for it expires, health names the model and not the server, and SIGCONT is enough."""
    pid = until_up(server, "frozen")
    os.kill(pid, signal.SIGSTOP)
    until(lambda: is_stopped(pid))
    in_hand: list[int] = []
    first = threading.Thread(target=lambda: in_hand.append(ask(server, "frozen", ROW).status_code))
    first.start()
    until(lambda: server.in_flight("frozen") == 1)

    expired = ask(server, "frozen", ROW, **{"penstock-deadline-ms": "200"})
    until(lambda: worker(server, "frozen")["state"] == "silent")

    assert (expired.status_code, expired.json()["code"]) == (504, "DEADLINE_EXCEEDED")
    assert server.client.get("/v2/models/frozen/ready").status_code == 503
    assert server.client.get("/v2/health/ready").status_code == 200
    assert "has not answered" in report(server, "frozen")["ailment"]
    server.assert_serving()
    os.kill(pid, signal.SIGCONT)
    first.join(30)
    assert in_hand == [200]
    until(lambda: server.client.get("/v2/models/frozen/ready").status_code == 200)
    assert worker(server, "frozen")["pid"] == pid


def test_third_death_refuses_the_model_alone_and_a_load_brings_it_back(server: Serving) -> None:
    """503 and UNAVAILABLE at once, with the reason and the time to come back; events and metrics tell; other models answer."""
    pid = 0
    for _ in range(3):
        pid = until_up(server, "doomed", pid)
        os.kill(pid, signal.SIGKILL)
    until(lambda: worker(server, "doomed")["state"] == "resting")

    refused, over_grpc = ask(server, "doomed", ROW), server.grpc.infer("doomed", ROW)

    assert (refused.status_code, refused.json()["code"], over_grpc.family) == (503, "UNAVAILABLE", "UNAVAILABLE")
    assert "was killed (SIGKILL), once too often" in refused.json()["error"]
    assert 1 < int(refused.headers["retry-after"]) <= 30
    assert server.client.get("/v2/models/doomed/ready").status_code == 503
    assert samples(server, "penstock_worker_breaker", "doomed")["open"] == 1
    assert samples(server, "penstock_worker_up", "doomed") == {"cpu": 0}
    assert [event["after"] for event in report(server, "doomed")["events"]][-1] == "resting"
    assert server.client.get("/v2/health/ready").status_code == 200
    server.assert_serving()
    assert server.unload("doomed").status_code == 200
    assert server.load("doomed").status_code == 200
    assert ask(server, "doomed", ROW).status_code == 200


def test_swap_and_unload_end_their_worker(server: Serving) -> None:
    """There is one process for each version that is loaded."""
    before = until_up(server, "hog")
    shutil.copytree(server.registry / "hog" / "1", server.registry / "hog" / "2")
    assert server.load("hog").status_code == 200
    assert ask(server, "hog", hog_of(3)).headers["penstock-model-version"] == "2"
    until(lambda: is_gone(before))
    after = until_up(server, "hog")

    assert server.unload("hog").status_code == 200

    until(lambda: is_gone(after))
    assert server.load("hog").status_code == 200


def test_killed_server_leaves_no_worker(server: Serving) -> None:
    """The last test of this server: every prediction had one end, and with the server go all its processes."""
    server.assert_balanced()
    workers = {until_up(server, name) for name in ISOLATED}
    assert workers <= children(server.pid)
    shared = set(Path("/dev/shm").iterdir())

    server.kill()

    until(lambda: all(map(is_gone, workers)))
    assert not {path for path in shared if "penstock" in path.name}
