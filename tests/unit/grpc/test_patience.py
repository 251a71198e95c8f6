"""Connections that rest are left alone until something is due, and not a second longer."""

from types import SimpleNamespace
from typing import Any

import pytest

from penstock.domain.clock import NS_PER_S
from penstock.grpc.options import GrpcOptions
from penstock.grpc.patience import Patience


class Quiet:
    """A connection on which nothing goes on, and what is done to it, with the second of it."""

    def __init__(self, **options: float) -> None:
        self.second = 0
        self.done: list[tuple[str, int]] = []
        self.looks = 0
        self.greeted = True
        self.is_busy = False
        self.unsent_bytes = 0
        self.is_writable = True
        self.http2: Any = SimpleNamespace(
            leaving=False,
            is_over=False,
            second_passed=lambda: None,
            stalled=lambda _: [],
            ping=lambda _: self.note("ping"),
            finish_leaving=lambda: None,
        )
        self.patience = Patience(GrpcOptions(**options), 0)

    def note(self, what: str) -> None:
        """Note that something was done."""
        self.done.append((what, self.second))

    def begin_leaving(self) -> None:
        """Note it."""
        self.note("leave")

    def stop(self) -> None:
        """Note it."""
        self.note("stop")

    def abort(self) -> None:
        """Note it."""
        self.note("abort")

    def go_on(self, seconds: int) -> None:
        """Look once a second, where that is not left out."""
        for _ in range(seconds):
            self.second += 1
            if not self.patience.rests(self.second * NS_PER_S):
                self.looks += 1
                self.patience.watch(self, self.second * NS_PER_S)


def test_resting_connection_is_asked_for_a_sign_of_life_in_time() -> None:
    """And is cut if it gives none, though hardly anybody looks."""
    quiet = Quiet(keepalive_s=300, keepalive_timeout_s=20)
    quiet.go_on(299)
    looks = quiet.looks
    quiet.go_on(30)

    assert looks <= 2
    assert quiet.done[0] == ("ping", 301)
    assert quiet.done[1] == ("abort", 322)


def test_rest_ends_with_the_age() -> None:
    """Which comes before the next sign of life."""
    quiet = Quiet(keepalive_s=300, max_connection_age_s=100)
    quiet.go_on(112)

    what, second = quiet.done[0]
    assert what == "leave"
    assert 90 <= second <= 111


@pytest.mark.parametrize("end", ["hear", "stir", "linger"])
def test_rest_ends_as_soon_as_something_happens(end: str) -> None:
    """Bytes that come, an order from above, the connection's own end."""
    quiet = Quiet()
    quiet.go_on(10)
    rested = quiet.patience.rests(10 * NS_PER_S)
    if end == "linger":
        quiet.patience.linger(10 * NS_PER_S)
    else:
        getattr(quiet.patience, end)()

    assert rested
    assert not quiet.patience.rests(10 * NS_PER_S)


@pytest.mark.parametrize("goes_on", ["is busy", "talks"])
def test_what_goes_on_is_watched(goes_on: str) -> None:
    """Every time."""
    quiet = Quiet()
    quiet.is_busy = goes_on == "is busy"
    for _ in range(20):
        if goes_on == "talks":
            quiet.patience.hear()
        quiet.go_on(1)

    assert quiet.looks == 20


def test_last_answer_is_waited_for_while_the_client_reads_it() -> None:
    """A connection that leaves is over for us as soon as its last answer is in the socket's buffer."""
    quiet = Quiet(keepalive_s=300)
    quiet.go_on(1)
    quiet.patience.linger(NS_PER_S)
    for left in range(20, -1, -1):
        quiet.unsent_bytes = left * 1_000_000
        quiet.go_on(1)
    reading = list(quiet.done)
    quiet.go_on(3)

    assert reading == []
    assert quiet.done[0] == ("abort", 24)


def test_who_broke_a_rule_is_not_waited_for() -> None:
    """Nor is a client that reads none of what it is told."""
    quiet = Quiet(keepalive_s=300)
    quiet.http2.is_over = True
    quiet.unsent_bytes = 1_000
    quiet.go_on(1)
    quiet.patience.linger(NS_PER_S)
    quiet.go_on(3)

    assert quiet.done[0] == ("abort", 4)


def test_client_of_which_we_read_nothing_is_not_silent() -> None:
    """Its pings would wait in the socket, behind the answers that it is reading; only once we read again it is asked."""
    quiet = Quiet(keepalive_s=10, keepalive_timeout_s=5, write_timeout_s=60)
    quiet.is_writable, quiet.is_busy = False, True
    for left in range(100, 0, -1):
        quiet.unsent_bytes = left * 1_000_000
        quiet.go_on(1)
    paused = list(quiet.done)
    quiet.is_writable = True
    quiet.unsent_bytes = 0
    quiet.go_on(18)

    assert paused == []
    assert [what for what, _ in quiet.done[:2]] == ["ping", "abort"]
