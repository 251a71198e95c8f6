"""The table that a latency model shows and that is kept across restarts."""

from penstock.batching.latency import LatencyModel


def test_table_can_be_read_on_a_machine_that_has_been_up_for_years() -> None:
    """Times are of a clock that began with the machine."""
    latency, now_ns = LatencyModel({1: 1000}), 10**18
    for _ in range(8):
        latency.observe(4, 5000, now_ns)

    assert list(latency.table()) == [(1, 1000, 0), (4, 5000, 7)]
