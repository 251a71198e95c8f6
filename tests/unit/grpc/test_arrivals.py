"""What arrives slowly is borne as long as it goes on at the slowest rate, and no longer."""

import pytest

from penstock.domain.clock import NS_PER_S
from penstock.grpc.arrivals import Arrivals
from penstock.grpc.options import GrpcOptions

OPTIONS = GrpcOptions(message_timeout_s=10, min_message_bytes_per_s=100)


@pytest.mark.parametrize(("received", "borne_s"), [(0, 10), (99, 10), (1_000, 20), (100_000, 1_010)])
def test_each_byte_buys_time(received: int, borne_s: int) -> None:
    """Ten seconds, and one more for each hundred bytes that are here."""
    arrivals = Arrivals(OPTIONS)
    for second in range(borne_s + 1):
        assert arrivals.late({(1, 0): received}, second * NS_PER_S) == []

    assert arrivals.late({(1, 0): received}, (borne_s + 1) * NS_PER_S) == [(1, 0)]


def test_first_look_counts_as_the_begin() -> None:
    """However late it comes."""
    arrivals = Arrivals(OPTIONS)

    assert arrivals.late({(1, 0): 5}, 1_000 * NS_PER_S) == []
    assert arrivals.late({(1, 0): 5}, 1_011 * NS_PER_S) == [(1, 0)]


def test_next_message_has_a_time_of_its_own() -> None:
    """A stream may send for ever, message by message."""
    arrivals = Arrivals(OPTIONS)
    for number in range(100):
        assert arrivals.late({(1, number): 1}, number * 9 * NS_PER_S) == []


def test_what_was_held_back_begins_anew() -> None:
    """The time in which the client could not send does not count."""
    arrivals = Arrivals(OPTIONS)
    arrivals.late({(1, 0): 1}, 0)
    arrivals.late({}, 9 * NS_PER_S)

    assert arrivals.late({(1, 0): 1}, 18 * NS_PER_S) == []
    assert arrivals.late({(1, 0): 1}, 27 * NS_PER_S) == []
    assert arrivals.late({(1, 0): 1}, 29 * NS_PER_S) == [(1, 0)]


def test_late_ones_alone_are_told() -> None:
    """Of many on one connection."""
    arrivals = Arrivals(OPTIONS)
    arrivals.late({(1, 0): 1, (3, 0): 5_000}, 0)

    assert arrivals.late({(1, 0): 1, (3, 0): 5_000, (5, 0): 0}, 11 * NS_PER_S) == [(1, 0)]
