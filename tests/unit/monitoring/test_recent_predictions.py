"""Feedback finds its prediction once; what is late, repeated or unknown is told apart, and memory is bounded."""

import tracemalloc

import numpy as np

from penstock.domain.clock import NS_PER_S
from penstock.monitoring.recent_predictions import Prediction, Reason, RecentPredictions


def prediction(version: str = "1", rows: int = 1) -> Prediction:
    """A prediction of zeros."""
    return Prediction(version, "stable", np.zeros(rows))


def test_feedback_finds_its_prediction_once() -> None:
    """The second word is a duplicate, an id that was never seen unknown."""
    recent = RecentPredictions(100_000)
    told = prediction()
    recent.remember("a", told)

    assert recent.join("a") == (Reason.JOINED, told)
    assert recent.join("a") == (Reason.DUPLICATE, None)
    assert recent.join("b") == (Reason.UNKNOWN, None)
    assert recent.ends == {Reason.JOINED: 1, Reason.DUPLICATE: 1, Reason.UNKNOWN: 1}


def test_feedback_after_its_time_is_late() -> None:
    """The prediction is still there, and no longer counts."""
    now = [0]
    recent = RecentPredictions(100_000, keep_s=60, clock=lambda: now[0])
    recent.remember("a", prediction())
    now[0] = 61 * NS_PER_S

    assert recent.join("a") == (Reason.LATE, None)


def test_the_oldest_go_when_room_is_needed() -> None:
    """The window is bounded in bytes."""
    recent = RecentPredictions(5000)
    for number in range(100):
        recent.remember(f"id-{number}", prediction())

    assert recent.size_bytes <= 5000
    assert recent.join("id-0")[0] is Reason.UNKNOWN
    assert recent.join("id-99")[0] is Reason.JOINED


def test_one_that_is_larger_than_all_of_it_is_not_kept_and_drives_nobody_out() -> None:
    """One long request does not cost everybody else's feedback."""
    recent = RecentPredictions(5000)
    recent.remember("a", prediction())
    recent.remember("b", prediction(rows=10_000))

    assert (recent.join("a")[0], recent.join("b")[0]) == (Reason.JOINED, Reason.UNKNOWN)


def test_of_two_predictions_with_one_id_the_later_counts() -> None:
    """Callers may give an id twice."""
    recent = RecentPredictions(5000)
    recent.remember("a", prediction("1"))
    recent.remember("a", prediction("2"))

    found = recent.join("a")[1]

    assert found is not None
    assert found.version == "2"
    assert len(recent) == 1


def test_joined_predictions_give_their_bytes_back() -> None:
    """Only the id stays, to know a repetition by."""
    recent = RecentPredictions(100_000)
    recent.remember("a", prediction(rows=1000))
    before = recent.size_bytes

    recent.join("a")

    assert before - recent.size_bytes == 8000


def test_the_bytes_that_are_counted_are_no_fewer_than_those_used() -> None:
    """The bound holds for real memory."""
    recent = RecentPredictions(10_000_000)
    tracemalloc.start()
    try:
        for number in range(5000):
            recent.remember(f"request-{number}", Prediction("1", "stable", np.zeros(1), np.zeros((1, 10), np.float32)))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert used <= recent.size_bytes
