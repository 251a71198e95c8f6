"""Stalls among answers."""

import numpy as np
import pytest

from penstock.bench.stalls import Stalls, find_stalls


def per_ms(span_ms: int, *moments: int) -> "np.ndarray":
    """Return how many of the moments are in each millisecond."""
    return np.bincount(moments, minlength=span_ms).astype(np.uint32)


def test_regular_stalls_are_counted_with_their_distance() -> None:
    """Requests every 10 ms, answered at once but for 200 ms of each second."""
    due = range(0, 4000, 10)
    answered = [moment + 1 if moment % 1000 < 500 or moment % 1000 >= 700 else moment // 1000 * 1000 + 701 for moment in due]

    stalls = find_stalls(per_ms(4100, *due), per_ms(4100, *answered), 1.0)

    assert stalls.count == 4
    assert stalls.longest_ms == pytest.approx(200, abs=2)
    assert stalls.every_s == pytest.approx(1.0, abs=0.01)
    assert "4 times, every 1.0 s" in str(stalls)


def test_silence_without_anybody_waiting_is_no_stall() -> None:
    """Two requests a second, answered at once: nobody waits in between."""
    assert find_stalls(per_ms(2000, 0, 500, 1000), per_ms(2000, 1, 501, 1001), 1.0) == Stalls()


def test_a_slow_model_is_no_stall() -> None:
    """A request alone under way is answered by nothing before its own time."""
    assert find_stalls(per_ms(2000, 0, 500), per_ms(2000, 300, 800), 300.0) == Stalls()
