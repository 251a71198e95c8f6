"""C63, C64: a queue that is full, and a request that waits too long. `slow` runs for 300 ms and lets two wait."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest
from cases import one
from serving import Serving, busy, until
from transports import Transport

ONE_ROW: Final = one("FP32", [1, 1], [2.0])
TRANSPORTS: Final = ("http", "grpc")


def executions(server: Serving) -> int:
    """Return how often `slow` has run."""
    (statistics,) = server.client.get("/v2/models/slow/stats").json()["model_stats"]
    return int(statistics["execution_count"])


@pytest.mark.parametrize("transport", [pytest.param(t, id=f"C63-{t}") for t in TRANSPORTS], indirect=True)
def test_full_queue_refuses_at_once(transport: Transport, server: Serving) -> None:
    """Of eight at once one runs and two wait; others are told to come back, and none is lost."""
    until(lambda: server.in_flight("slow") == 0)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: transport.infer("slow", ONE_ROW), range(8)))

    refused = [answer for answer in answers if answer.family != "OK"]
    assert {answer.family for answer in refused} == {"RESOURCE_EXHAUSTED"}
    assert len(answers) - len(refused) >= 3
    for answer in refused:
        assert answer.text
        assert int(answer.headers["retry-after" if transport.name == "http" else "grpc-retry-pushback-ms"]) >= 1


@pytest.mark.parametrize("transport", [pytest.param(t, id=f"C64-{t}") for t in TRANSPORTS], indirect=True)
def test_request_that_waits_too_long_is_never_run(transport: Transport, server: Serving) -> None:
    """Behind two others of 300 ms each, 5 ms are over before its turn comes: refused on arrival once the model's speed is known."""
    until(lambda: server.in_flight("slow") == 0)
    before = executions(server)

    with busy(server, "slow", lambda: transport.infer("slow", ONE_ROW)) as others:
        late = transport.infer("slow", {**ONE_ROW, "parameters": {"timeout": 5_000}})

    assert late.family in {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}
    assert {other.family for other in others} == {"OK"}
    assert executions(server) - before == len(others)
