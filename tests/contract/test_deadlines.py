"""How long a caller waits, and how much the answer matters: each way to say so, over both transports.

`slow` runs for 300 ms, one request at a time. A request whose time is over before its turn comes is refused on arrival once the
model's speed is known, else when the time is over; either way it is never run.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from cases import one
from serving import Serve, Serving, busy, until
from transports import Answer, Transport, message_of, refusal_of

ONE_ROW: Final = one("FP32", [1, 1], [2.0])
TRANSPORTS: Final = ("http", "grpc")
SHORT: Final = (({"penstock-deadline-ms": "40"}, {}), ({}, {"timeout": 40_000}))
"""Forty milliseconds in a header or metadatum, and in the protocol's parameter."""
LONG: Final = (({"penstock-deadline-ms": "20000"}, {}), ({}, {"timeout": 20_000_000}))
TOO_LATE: Final = {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}

ROUTES: Final = ("fast",)
"""Both routes read headers and parameters with the same code, which other modules ask over both."""

Said = tuple[Mapping[str, str], Mapping[str, Any]]
"""Headers or metadata, and parameters, of a question."""


def over_either(names: tuple[str, ...], cases: Mapping[str, tuple[Any, ...]]) -> pytest.MarkDecorator:
    """Ask each case over one of the transports in turn, and over the other one where there is time."""
    marks = [(), pytest.mark.slow]
    return pytest.mark.parametrize(
        ("transport", *names),
        [
            pytest.param(transport, *case, id=f"{name}-{transport}", marks=marks[(number + other) % 2])
            for number, (name, case) in enumerate(cases.items())
            for other, transport in enumerate(TRANSPORTS)
        ],
        indirect=["transport"],
    )


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


def behind_others(server: Serving, transport: Transport, headers: Mapping[str, str], parameters: Mapping[str, Any]) -> tuple[Answer, int]:
    """Ask `slow` while it runs for others; return the answer and how many runs there were beside theirs."""
    until(lambda: server.in_flight("slow") == 0)
    before = executions(server)
    with busy(server, "slow", lambda: ask(transport, {"penstock-deadline-ms": "60000"}, {})) as others:
        answer = ask(transport, headers, parameters)
    assert {other.family for other in others} == {"OK"}
    return answer, executions(server) - before - len(others)


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
    answer, runs = behind_others(calm, transport, headers, parameters)

    assert (answer.family in TOO_LATE, runs) == (True, 0), answer.text
    assert "late" in answer.text or "not executed" in answer.text


@over_either(("headers", "parameters"), {"header": LONG[0], "parameter": LONG[1]})
def test_request_with_time_left_is_run(
    calm: Serving, transport: Transport, headers: Mapping[str, str], parameters: Mapping[str, Any]
) -> None:
    """The same with a deadline that is far away."""
    answer, runs = behind_others(calm, transport, headers, parameters)

    assert (answer.family, runs) == ("OK", 1)


@over_either(("headers", "parameters"), {"header-first": (SHORT[0][0], LONG[1][1]), "parameter-first": (LONG[0][0], SHORT[1][1])})
def test_sooner_of_two_deadlines_counts(
    calm: Serving, transport: Transport, headers: Mapping[str, str], parameters: Mapping[str, Any]
) -> None:
    """Whichever of the two it is."""
    answer, runs = behind_others(calm, transport, headers, parameters)

    assert (answer.family in TOO_LATE, runs) == (True, 0), answer.text


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
    with busy(impatient, "slow", lambda: ask(impatient.transports[name], {"penstock-deadline-ms": "60000"}, {})):
        assert silently(impatient, name) in TOO_LATE


@pytest.mark.parametrize("name", TRANSPORTS)
def test_request_may_ask_for_more_up_to_a_maximum(impatient: Serving, name: str) -> None:
    """Of eight runs of 300 ms some would begin after the second which the server grants, whatever the minute that is asked for."""
    alone = partial(ask, impatient.transports[name], {"penstock-deadline-ms": "60000"}, {})

    def of_eight() -> set[str]:
        with ThreadPoolExecutor(8) as pool:
            return {future.result().family for future in [pool.submit(alone) for _ in range(8)]}

    until(lambda: impatient.in_flight("slow") == 0)
    # On a machine that was busy for a while runs took more than a second, and are expected to until some have ended sooner.
    families = until(lambda: "OK" in (seen := of_eight()) and seen)

    assert families & TOO_LATE
    assert families <= {"OK", *TOO_LATE}


def order_of_ends(server: Serving, transport: Transport, asked: Mapping[str, Said]) -> list[str]:
    """Ask `slow` one question after the other; return in which order they end, or nothing if one did before all were there."""
    until(lambda: server.in_flight("slow") == 0)
    ended: list[str] = []

    def end(name: str, said: Said) -> Answer:
        answer = ask(transport, *said)
        ended.append(name)
        return answer

    with ThreadPoolExecutor(len(asked)) as pool:
        answers: list[Future[Answer]] = []
        for name, said in asked.items():
            answers.append(pool.submit(end, name, said))
            until(lambda: ended or server.in_flight("slow") == len(answers))
        all_waited = not ended
    assert {answer.result().family for answer in answers} == {"OK"}
    return ended if all_waited else []


@over_either(
    ("first", "second"),
    {
        "header": (({"penstock-priority": "sheddable"}, {}), ({"penstock-priority": "critical"}, {})),
        "parameter": (({}, {"priority": 3}), ({}, {"priority": 1})),
        "default": (({}, {}), ({"penstock-priority": "critical"}, {})),
    },
)
def test_critical_request_goes_before_one_that_came_earlier(calm: Serving, transport: Transport, first: Any, second: Any) -> None:
    """Both ways of telling the priority; without any it is `normal`."""
    asked = {"running": ({}, {}), "first": first, "second": second}

    tries = (order_of_ends(calm, transport, asked) for _ in range(20))

    assert next(filter(None, tries)) == ["running", "second", "first"]


@over_both
@pytest.mark.parametrize("text", ["urgent", "CRITICAL", "1"])
def test_unknown_priority_is_named_with_the_known_ones(transport: Transport, text: str) -> None:
    """The refusal says what would have been understood."""
    answer = ask(transport, {"penstock-priority": text}, {})

    assert answer.family == "INVALID_ARGUMENT"
    assert f"penstock-priority is {text!r}; use critical, normal or sheddable" in answer.text
