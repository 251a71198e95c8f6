"""Runs against a stand-in server whose behaviour is known."""

from typing import Any

import pytest
from quiet_port import quiet_port

from penstock.bench.arrivals import Closed, Constant, Poisson, Ramp, Recorded
from penstock.bench.plan import CannotMeasure, Payload, Plan, Target
from penstock.bench.run import run

StandIn = Any
SHORT = {"duration_s": 1.0, "warmup_s": 0.2}


@pytest.mark.parametrize(
    ("load", "due"),
    [(Constant(100), 100), (Poisson(100), 100), (Ramp(50, 150), 100), (Recorded(tuple(i / 50 for i in range(200))), 50)],
    ids=["constant", "poisson", "ramp", "recorded"],
)
@pytest.mark.parametrize("processes", [1, 2])
def test_open_loop_sends_what_is_due(stand_in: StandIn, load: Any, due: int, processes: int) -> None:
    """An open loop sends every request that is due within the window, over any number of processes, once."""
    result = run(Plan(target=Target(stand_in(), "m"), load=load, processes=processes, **SHORT))

    assert result.rounds[0].due == pytest.approx(due, rel=0.3 if isinstance(load, Poisson) else 0.02)
    assert due / 2 < result.rounds[0].sent <= result.rounds[0].due
    assert result.rounds[0].succeeded == result.rounds[0].sent
    assert len(result.rounds[0].generators) == processes
    assert result.figures.error_rate == 0
    assert result.figures.min_ms >= 1


def test_closed_loop_keeps_its_requests_under_way(stand_in: StandIn) -> None:
    """By Little's law, requests under way are the rate times the mean latency."""
    result = run(Plan(target=Target(stand_in(20), "m"), load=Closed(4), processes=2, **SHORT))

    assert result.figures.rps * result.figures.mean_ms / 1000 == pytest.approx(4, rel=0.3)
    assert result.figures.min_ms >= 20


def test_open_loop_shows_a_stall_that_a_closed_loop_hides(stand_in: StandIn) -> None:
    """A server that stalls looks well to a closed loop, which asks nothing meanwhile; an open loop counts who waited."""
    target = Target(stand_in(1, stall_ms=200, every_s=1), "m")

    opened = run(Plan(target=target, load=Constant(200), duration_s=4.8, warmup_s=0.2))
    closed = run(Plan(target=target, load=Closed(1), duration_s=4.8, warmup_s=0.2))

    assert opened.figures.p90_ms > 20
    assert opened.figures.p99_ms > 150
    # On a machine with nothing else to do p99 hides it; on a busy one there is more than stalls in the last percent.
    assert closed.figures.p90_ms < opened.figures.p90_ms
    assert closed.figures.p99_ms < opened.figures.p99_ms
    for result in (opened, closed):
        assert result.rounds[0].stalls.count >= 3
        assert result.rounds[0].stalls.longest_ms >= 190


def test_failures_are_counted_by_kind_with_a_sample(stand_in: StandIn) -> None:
    """An answer other than 200 is a failure, and one of the messages is kept."""
    result = run(Plan(target=Target(stand_in(status=429), "m"), load=Constant(50), **SHORT))

    (failure,) = result.rounds[0].failures
    assert (failure.kind, failure.count, failure.sample) == ("HTTP 429", result.rounds[0].sent, '{"error":"no room"}')
    assert result.figures.error_rate == 1
    assert result.figures.rps == 0


def test_what_the_cap_holds_back_makes_a_run_invalid(stand_in: StandIn) -> None:
    """Requests that are due beyond the cap are not sent; then the run says nothing about the server."""
    result = run(Plan(target=Target(stand_in(500), "m"), load=Constant(100), max_outstanding=10, **SHORT))

    assert result.figures.rate < 0.5
    assert "of the requests that were due were sent" in result.invalid[0]


def test_cpu_of_the_server_is_counted(stand_in: StandIn) -> None:
    """With the server's process known, its CPU time per answer is among the figures."""
    address = stand_in()

    result = run(Plan(target=Target(address, "m", pids=(stand_in.pid,)), load=Constant(100), **SHORT))

    assert result.figures.cpu_us is not None
    assert 10 < result.figures.cpu_us < 10_000


def test_rounds_are_added_up(stand_in: StandIn) -> None:
    """Several rounds are one result: counts are summed, rates stay rates."""
    result = run(Plan(target=Target(stand_in(), "m"), load=Constant(100), rounds=3, duration_s=0.3, warmup_s=0.1))

    assert len(result.rounds) == 3
    assert result.total.due == 90
    assert result.total.sent == sum(one.sent for one in result.rounds)
    assert result.total.window_s == pytest.approx(0.9)
    assert result.figures.requests == result.total.sent


def test_nobody_listens(unused: int) -> None:
    """A port without a server is told as such."""
    with pytest.raises(CannotMeasure, match="nothing answers at http:"):
        run(Plan(target=Target(f"127.0.0.1:{unused}", "m")))


def test_a_shape_that_does_not_fit_is_told(stand_in: StandIn) -> None:
    """A payload that contradicts the schema is refused before the first request."""
    with pytest.raises(CannotMeasure, match=r"the shape \[1, 3\] does not fit input 'X'"):
        run(Plan(target=Target(stand_in(), "m"), payload=Payload(shapes={"X": (1, 3)})))


@pytest.fixture(name="unused")
def _unused() -> int:
    """A port that nobody listens at."""
    return quiet_port()
