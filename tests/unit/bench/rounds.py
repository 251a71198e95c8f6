"""Rounds with figures as a test wants them."""

from typing import Any

from penstock.bench.latency import bucket_us
from penstock.bench.result import Round


def round_with(**given: Any) -> Round:
    """Return a round of a hundred requests of 1 to 100 ms in a second, or with what is given."""
    latencies = given.pop("latencies", {ms * 1000: 1 for ms in range(1, 101)})
    count = sum(latencies.values())
    usual = {
        "window_s": 1.0,
        "due": count,
        "sent": count,
        "succeeded": count,
        "failed": 0,
        "finished": count,
        "answered": count,
        "latencies_us": {bucket_us(us): n for us, n in latencies.items()},
        "lags_us": {1: count} if count else {},
    }
    return Round(**{**usual, **given})
