"""What benchmarks count as an answer is one: a server that refuses quickly looks no better for it."""

import math
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))  # no package installs them

import http_load
import neighbour
import stream_load
from bound import judge
from h2load_report import Report, report_of
from open_loop import Answer, quantile

from penstock.http2 import frames

REPORT = """
finished in 34.49ms, 11597.56 req/s, 1.97MB/s
requests: 400 total, 400 started, {done} done, {succeeded} succeeded, 0 failed, 0 errored, 0 timeout
status codes: 400 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 69.57KB (71240) total, 65.63KB (67200) headers (space savings -1.82%), 0B ({data}) data
"""
WRK = """
  Thread Stats   Avg      Stdev     Max   +/- Stdev
  Latency Distribution
     50%    1.21ms
     99%    2.10s
  24000 requests in 1.00m, 3.10MB read
"""


def test_calls_that_were_answered_are_told() -> None:
    """And how fast, and what they brought."""
    said = REPORT.format(done=400, succeeded=400, data=38_000)

    assert report_of(said, 95) == Report(400, 11_597.56, 38_000)


@pytest.mark.parametrize(
    ("done", "succeeded", "data"),
    [(400, 399, 38_000), (400, 400, 0), (400, 400, 37_905)],
    ids=["status", "none has a message", "one has none"],
)
def test_call_without_an_answer_is_none(done: int, succeeded: int, data: int) -> None:
    """One of gRPC that failed has the status 200, and no message."""
    with pytest.raises(RuntimeError, match="not all calls were answered"):
        report_of(REPORT.format(done=done, succeeded=succeeded, data=data), 95)


def test_refusals_are_not_quick_answers() -> None:
    """Who is refused never gets what it wanted."""
    answers = [Answer(0.0, 0.2, 200, b""), Answer(0.0, 0.001, 429, b""), Answer(0.0, 0.001, 500, b"")]

    assert [answer.came_s for answer in answers] == [0.2, math.inf, math.inf]
    assert quantile([answer.came_s for answer in answers], 0.5) == math.inf


@pytest.mark.parametrize(("lost", "code"), [(0, 0), (1, 1)])
def test_every_answer_of_the_healthy_neighbour_is_wanted(lost: int, code: int) -> None:
    """However quick the others are."""
    assert judge(neighbour.wanted("hangs", [2.0, 2.1], [2.0, 2.1], lost)) == code


def test_a_minute_is_told_in_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By wrk, from the first one on."""
    wrk = tmp_path / "wrk"
    wrk.write_text(f"#!/bin/sh\ncat <<'END'\n{WRK}END\n")
    wrk.chmod(0o700)
    monkeypatch.setattr(http_load, "WRK", str(wrk))

    load = http_load.ask(http_load.Question("127.0.0.1:1", "/", {}, b""), 1, 60)

    assert load == (24_000, 60.0, pytest.approx(1210), pytest.approx(2_100_000))


def test_error_in_a_stream_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes as a message does, only of another size."""
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(socket, "create_connection", lambda _: ours)
    with ours, theirs:
        client = stream_load.StreamingClient("127.0.0.1:1", 1, 90)
        theirs.sendall(frames.frame(frames.DATA, 0, 1, bytes(95)))
        client.receive()
        theirs.sendall(frames.frame(frames.DATA, 0, 1, bytes(70)))

        with pytest.raises(RuntimeError, match="refused a message"):
            client.receive()
    assert client.answers == 1
