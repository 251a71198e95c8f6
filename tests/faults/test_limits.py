"""F34, F36: threads and memory that run out, in control groups of the server's own."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from control_group import ControlGroup, hog
from serving import GOOD, Serving, until

Figure = Callable[..., float]
MEMORY = 700 * 1024**2
UNLIMITED = 4096


class Bounded(NamedTuple):
    """A server in its control groups."""

    serving: Serving
    memory: ControlGroup
    pids: ControlGroup


@pytest.fixture(scope="module")
def bounded(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bounded]:
    """A server that may use 700 MiB."""
    memory = ControlGroup("memory")
    pids = ControlGroup("pids")
    memory.set("memory.limit_in_bytes", MEMORY)
    serving = Serving(registry, tmp_path_factory.mktemp("bounded"))
    enter = 'echo $$ > "$1"; echo $$ > "$2"; shift 2; exec "$@"'
    penstock = Path(sys.executable).with_name("penstock")
    serving.command = ["/bin/sh", "-c", enter, "sh", memory.procs, pids.procs, penstock]
    try:
        with serving.during("registry.poll_s=0"):
            yield Bounded(serving, memory, pids)
    finally:
        memory.remove()
        pids.remove()


def test_predictions_are_refused_before_memory_ends(bounded: Bounded, figure: Figure) -> None:
    """F36: above nine tenths, over both protocols, with the time to come back; health and management answer, and it ends by itself."""
    serving = bounded.serving
    serving.assert_serving()
    assert 0 < figure(serving, "penstock_memory_used_ratio") < 0.8
    room = MEMORY - bounded.memory.get("memory.usage_in_bytes")

    with hog(bounded.memory, room - MEMORY // 20):
        until(lambda: figure(serving, "penstock_memory_short") == 1)
        over_http = serving.client.post("/v2/models/id_fp32/infer", json=GOOD)
        over_grpc = serving.grpc.infer("id_fp32", GOOD)
        health = {serving.client.get(f"/v2/health/{path}").status_code for path in ("live", "ready")}

    assert (over_http.status_code, over_http.json()["code"]) == (429, "OVERLOADED")
    assert int(over_http.headers["retry-after"]) >= 1
    assert over_grpc.family == "RESOURCE_EXHAUSTED"
    assert health == {200}
    until(lambda: figure(serving, "penstock_memory_short") == 0)
    serving.assert_serving()
    serving.assert_balanced()


def test_load_that_gets_no_thread_is_refused(bounded: Bounded, models: ModuleType) -> None:
    """F34: the process lives, management answers, models serve; the same load succeeds once there are threads again."""
    serving = bounded.serving
    models.write_configured_model(serving.registry, "late", models.identity("late", "float", "batch,n"), 8)
    bounded.pids.set("pids.max", bounded.pids.get("pids.current"))

    refused = serving.load("late")

    serving.assert_serving()
    assert refused.status_code in {400, 500, 503}, refused.text
    assert serving.admin.get("/metrics").status_code == 200
    bounded.pids.set("pids.max", UNLIMITED)
    assert serving.load("late").status_code == 200
    assert serving.http.infer("late", GOOD).family == "OK"
    serving.assert_balanced()
