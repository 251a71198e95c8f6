"""How long a caller waits, and how much the answer matters: each way to say so, over both transports.

`slow` runs for 300 ms, one request at a time. A request whose time is over before its turn comes is refused on arrival once the
model's speed is known, else when the time is over; either way it is never run.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from cases import one
from serving import Serve, Serving, until
from transports import Answer, Transport, message_of, refusal_of

ONE_ROW: Final = one("FP32", [1, 1], [2.0])
TRANSPORTS: Final = ("http", "grpc")
SHORT: Final = (({"penstock-deadline-ms": "40"}, {}), ({}, {"timeout": 40_000}))
"""Forty milliseconds in a header or metadatum, and in the protocol's parameter."""
LONG: Final = (({"penstock-deadline-ms": "20000"}, {}), ({}, {"timeout": 20_000_000}))
TOO_LATE: Final = {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}

ROUTES: Final = ("fast",)
"""Both routes read headers and parameters with the same code, which other modules ask over both."""

over_both = pytest.mark.parametrize("transport", TRANSPORTS, indirect=True)


@pytest.fixture(scope="module")
def calm(serve: Serve, few: Path) -> Serving:
    """A server of few models, whose counters are quickly read; the target leaves room between the priorities."""
    return serve(few, 'models.slow.warmup="off"', "models.slow.slo_ms=5000")


@pytest.fixture
def transport(calm: Serving, request: pytest.FixtureRequest) -> Transport:
    """The transport of a test."""
    return calm.transports[request.param]


def ask(transport: Transport, headers: Mapping[str, str], parameters: Mapping[str, Any]) -> Answer:
    """Ask `slow` one question."""
    return transport.infer("slow", {**ONE_ROW, "parameters": dict(parameters)}, headers=headers)


def behind_another(server: Serving, transport: Transport, headers: Mapping[str, str], parameters: Mapping[str, Any]) -> tuple[Answer, int]:
    """Ask `slow` while it runs for somebody else; return the answer and how many of the two were run."""
    until(lambda: server.in_flight("slow") == 0)
    before = executions(server)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(ask, transport, {"penstock-deadline-ms": "60000"}, {})
        until(lambda: server.in_flight("slow") == 1)
        answer = ask(transport, headers, parameters)
        assert other.result().family == "OK"
    return answer, executions(server) - before


def executions(server: Serving) -> int:
    """Return how often `slow` has run."""
    (statistics,) = server.client.get("/v2/models/slow/stats").json()["model_stats"]
    return int(statistics["execution_count"])


@over_both
@pytest.mark.parametrize(("headers", "parameters"), SHORT, ids=["header", "parameter"])
def test_request_is_never_run_when_its_time_is_over(
    calm: Serving, transport: Transport, headers: Mapping[str, str], parameters: Mapping[str, Any]
) -> None:
    """Either way of saying how long one waits."""
    answer, runs = behind_another(calm, transport, headers, parameters)

    assert (answer.family in TOO_LATE, runs) == (True, 1), answer.text
    assert "late" in answer.text or "not executed" in answer.text


@over_both
@pytest.mark.parametrize(("headers", "parameters"), LONG, ids=["header", "parameter"])
def test_request_with_time_left_is_run(
    calm: Serving, transport: Transport, headers: Mapping[str, str], parameters: Mapping[str, Any]
) -> None:
    """The same with a deadline that is far away."""
    answer, runs = behind_another(calm, transport, headers, parameters)

    assert (answer.family, runs) == ("OK", 2)


@over_both
@pytest.mark.parametrize(
    ("headers", "parameters"), [(SHORT[0][0], LONG[1][1]), (LONG[0][0], SHORT[1][1])], ids=["header-first", "parameter-first"]
)
def test_sooner_of_two_deadlines_counts(
    calm: Serving, transport: Transport, headers: Mapping[str, str], parameters: Mapping[str, Any]
) -> None:
    """Whichever of the two it is."""
    answer, runs = behind_another(calm, transport, headers, parameters)

    assert (answer.family in TOO_LATE, runs) == (True, 1), answer.text


@pytest.fixture(scope="module")
def impatient(serve: Serve, few: Path) -> Serving:
    """A server that gives a request 40 ms unless that says otherwise, and a second at most."""
    settings = ("server.request_timeout_s=0.04", "server.max_request_timeout_s=1")
    return serve(few, *settings, 'models.slow.warmup="off"', "models.slow.queue_rows=8")


def silently(server: Serving, name: str) -> str:
    """Ask `slow` without a word about time, which over gRPC also means a call without a deadline; return the status."""
    if name == "http":
        return server.http.infer("slow", ONE_ROW).family
    try:
        server.grpc.rpc("ModelInfer")(message_of("slow", ONE_ROW))
    except grpc.RpcError as error:
        return refusal_of(error).family
    return "OK"


@pytest.mark.parametrize("name", TRANSPORTS)
def test_server_s_own_timeout_holds_where_a_request_names_none(impatient: Serving, name: str) -> None:
    """The run that is under way takes longer than the 40 ms that it gets."""
    until(lambda: impatient.in_flight("slow") == 0)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(ask, impatient.transports[name], {"penstock-deadline-ms": "60000"}, {})
        until(lambda: impatient.in_flight("slow") == 1)

        assert silently(impatient, name) in TOO_LATE
        assert other.result().family == "OK"


@pytest.mark.parametrize("name", TRANSPORTS)
def test_request_may_ask_for_more_up_to_a_maximum(impatient: Serving, name: str) -> None:
    """Of eight runs of 300 ms some would begin after the second which the server grants, whatever the minute that is asked for."""
    until(lambda: impatient.in_flight("slow") == 0)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, impatient.transports[name], {"penstock-deadline-ms": "60000"}, {}) for _ in range(8)]
    families = [future.result().family for future in asked]

    assert "OK" in families
    assert set(families) & TOO_LATE
    assert set(families) <= {"OK", *TOO_LATE}


@over_both
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (({"penstock-priority": "sheddable"}, {}), ({"penstock-priority": "critical"}, {})),
        (({}, {"priority": 3}), ({}, {"priority": 1})),
        (({}, {}), ({"penstock-priority": "critical"}, {})),
    ],
    ids=["header", "parameter", "default"],
)
def test_critical_request_goes_before_one_that_came_earlier(calm: Serving, transport: Transport, first: Any, second: Any) -> None:
    """Both ways of telling the priority; without any it is `normal`."""
    until(lambda: calm.in_flight("slow") == 0)
    ended: dict[str, float] = {}

    def timed(name: str, said: Any) -> Answer:
        answer = ask(transport, *said)
        ended[name] = time.monotonic()
        return answer

    with ThreadPoolExecutor(3) as pool:
        answers: list[Future[Answer]] = []
        for number, (name, said) in enumerate([("running", ({}, {})), ("first", first), ("second", second)], 1):
            answers.append(pool.submit(timed, name, said))
            until(lambda number=number: calm.in_flight("slow") == number)  # type: ignore[misc]

    assert {answer.result().family for answer in answers} == {"OK"}
    assert list(ended) == ["running", "second", "first"]


@over_both
@pytest.mark.parametrize("text", ["urgent", "CRITICAL", "1"])
def test_unknown_priority_is_named_with_the_known_ones(transport: Transport, text: str) -> None:
    """The refusal says what would have been understood."""
    answer = ask(transport, {"penstock-priority": text}, {})

    assert answer.family == "INVALID_ARGUMENT"
    assert f"penstock-priority is {text!r}; use critical, normal or sheddable" in answer.text
