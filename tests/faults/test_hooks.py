"""F32, F55, F56, F57: what goes wrong in the process itself, beside predictions and before them, costs no more than it has to."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from connection import HOST, Connection, head, length
from serving import GOOD, Serving, until

Figure = Callable[..., float]
SETTINGS = (
    'telemetry.access_log="all"',
    "defaults.payloads.sample=1.0",
    'defaults.monitoring.drift="live"',
    'models.twice.versions="all"',
    'http.allowed_hosts=["127.0.0.1", "localhost"]',
    'models.twice.route={stable = "2", shadows = [{version = "1"}]}',
)
SCRAPERS = 100
BODY = json.dumps(GOOD).encode()
GOOD_REQUEST = head("POST /v2/models/id_fp32/infer HTTP/1.1", HOST, length(BODY)) + BODY


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server runs, and looks for faults that it is to have."""
    return tmp_path_factory.mktemp("ailing")


@pytest.fixture(scope="module", params=["native", pytest.param("grpcio", marks=pytest.mark.slow)])
def ailing(request: pytest.FixtureRequest, registry: Path, home: Path) -> Iterator[Serving]:
    """A server with faults at a test's word."""
    serving = Serving(registry, home)
    serving.command = [sys.executable, Path(__file__).with_name("ailing_server.py")]
    with serving.during(*SETTINGS, f'grpc.transport="{request.param}"'):
        yield serving


@pytest.fixture
def fault(home: Path) -> Iterator[Callable[[str], Path]]:
    """Return what makes a fault begin; it ends with the test."""
    begun: list[Path] = []

    def begin(name: str) -> Path:
        begun.append(home / name)
        begun[-1].touch()
        return begun[-1]

    yield begin
    for path in begun:
        path.unlink(missing_ok=True)


def test_hooks_that_raise_cost_no_prediction_and_are_counted(ailing: Serving, fault: Callable[[str], Path], figure: Figure) -> None:
    """F55: the log, the recorder, drift and shadows; each is told in the log once, with its stack."""
    before = {hook: figure(ailing, f'penstock_hook_errors_total{{hook="{hook}"}}') for hook in ("log", "record", "drift", "shadow")}
    fault("hooks")

    answers = [transport.infer("twice", GOOD) for transport in ailing.transports.values() for _ in range(2)]

    assert [(answer.family, answer.outputs["Y"].values) for answer in answers] == [("OK", [1.0, 2.0])] * 4
    after = {hook: figure(ailing, f'penstock_hook_errors_total{{hook="{hook}"}}') for hook in before}
    assert {hook: after[hook] - before[hook] for hook in before} == dict.fromkeys(before, 4)
    assert ailing.log.count("the hook record has failed") == 1
    ailing.assert_balanced()


def test_middleware_that_raises_is_one_500_on_a_connection_that_goes_on(ailing: Serving, fault: Callable[[str], Path]) -> None:
    """F56, over HTTP: the answer has a body like any other, and the same connection answers afterwards."""
    asked = head("GET /v2/health/live HTTP/1.1", "Host: localhost")
    with Connection(ailing) as line:
        cause = fault("middleware")
        failed = line.ask(asked, "GET")
        cause.unlink()
        answered = line.ask(asked, "GET")

    assert (failed.status, failed.document["code"]) == (500, "INTERNAL")
    assert "a fault of" not in failed.document["error"], "the caller learns nothing of the inside"
    assert answered.status == 200
    ailing.assert_serving()


def test_codec_that_raises_is_one_500_on_a_connection_that_goes_on(ailing: Serving, fault: Callable[[str], Path]) -> None:
    """F56, on the fast path: booked as failed, so that the ledger is closed."""
    failures = ailing.outcomes("id_fp32", "failed")
    with Connection(ailing) as line:
        cause = fault("codec")
        failed = line.ask(GOOD_REQUEST)
        cause.unlink()
        answered = line.ask(GOOD_REQUEST)

    assert (failed.status, failed.document["code"], answered.status) == (500, "INTERNAL", 200)
    assert ailing.outcomes("id_fp32", "failed") == failures + 1
    ailing.assert_serving()
    ailing.assert_balanced()


def test_interceptor_that_raises_is_one_internal_error(ailing: Serving, fault: Callable[[str], Path]) -> None:
    """F56, over gRPC: INTERNAL, and the channel goes on."""
    cause = fault("interceptor")
    failed = ailing.grpc.infer("id_fp32", GOOD)
    cause.unlink()

    assert failed.family == "INTERNAL"
    ailing.assert_serving()
    ailing.assert_balanced()


def test_loop_that_stands_still_is_counted_and_its_place_told(ailing: Serving, figure: Figure) -> None:
    """F57: the log has the stack; whoever asks for liveness meanwhile waits and is answered."""
    os.kill(ailing.pid, signal.SIGUSR1)
    until(lambda: "the event loop has stood still" in ailing.log)

    assert ailing.client.get("/v2/health/live").status_code == 200
    until(lambda: "the event loop goes on" in ailing.log)
    assert "in hold_the_loop" in ailing.log
    assert figure(ailing, "penstock_loop_stalls_total") >= 1
    assert figure(ailing, "penstock_loop_stalled_seconds_total") >= 1
    ailing.assert_serving()


def test_scrapes_at_once_are_answered_beside_predictions(ailing: Serving) -> None:
    """F32: a hundred scrapers at once, and one that reads nothing; what it costs others, `benchmarks/scrapes.py` measures."""
    with Connection(ailing) as idle, ThreadPoolExecutor(SCRAPERS) as scrapers:
        idle.send(head("GET /metrics HTTP/1.1", "Host: localhost"))
        pages = [scrapers.submit(ailing.admin.get, "/metrics") for _ in range(SCRAPERS)]
        ailing.assert_serving()
        answers = [page.result() for page in pages]

    assert {answer.status_code for answer in answers} == {200}
    assert all("penstock_received_total" in answer.text for answer in answers)
    ailing.assert_serving()
