"""Feedback finds its prediction once; what is late, repeated or unknown is told apart, and memory is bounded."""

import tracemalloc

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.domain.clock import NS_PER_S
from penstock.monitoring.recent_predictions import Prediction, Reason, RecentPredictions


def prediction(version: str = "1", rows: int = 1) -> Prediction:
    """A prediction of zeros."""
    return Prediction(version, "stable", np.zeros(rows))


def word(recent: RecentPredictions, request_id: str) -> Reason:
    """Hear of a prediction, and return what becomes of the word."""
    reason, _ = recent.find(request_id)
    recent.heard(request_id)
    return reason


def test_feedback_finds_its_prediction_once() -> None:
    """The second word is a duplicate, an id that was never seen unknown."""
    recent = RecentPredictions(100_000)
    told = prediction()
    recent.remember("a", told)

    assert recent.find("a") == (Reason.JOINED, told)
    assert [word(recent, "a"), word(recent, "a"), word(recent, "b")] == [Reason.JOINED, Reason.DUPLICATE, Reason.UNKNOWN]


def test_feedback_after_its_time_is_late_once_and_unknown_after_as_long_again() -> None:
    """The prediction is still there, and no longer counts; in the end it goes."""
    now = [0]
    recent = RecentPredictions(100_000, keep_s=60, clock=lambda: now[0])
    recent.remember("a", prediction())
    recent.remember("b", prediction())
    now[0] = 61 * NS_PER_S
    recent.expire()
    assert [word(recent, "a"), word(recent, "a"), word(recent, "b")] == [Reason.LATE, Reason.DUPLICATE, Reason.LATE]

    now[0] = 121 * NS_PER_S
    recent.expire()

    assert (word(recent, "a"), len(recent), recent.size_bytes) == (Reason.UNKNOWN, 0, 0)


def test_the_oldest_go_when_room_is_needed() -> None:
    """The window is bounded in bytes."""
    recent = RecentPredictions(5000)
    for number in range(100):
        recent.remember(f"id-{number}", prediction())

    assert recent.size_bytes <= 5000
    assert recent.find("id-0")[0] is Reason.UNKNOWN
    assert recent.find("id-99")[0] is Reason.JOINED


def test_one_that_is_larger_than_all_of_it_is_not_kept_and_drives_nobody_out() -> None:
    """One long request does not cost everybody else's feedback."""
    recent = RecentPredictions(5000)
    recent.remember("a", prediction())
    recent.remember("b", prediction(rows=10_000))

    assert (recent.find("a")[0], recent.find("b")[0]) == (Reason.JOINED, Reason.UNKNOWN)


def test_of_two_predictions_with_one_id_the_later_counts() -> None:
    """Callers may give an id twice."""
    recent = RecentPredictions(5000)
    recent.remember("a", prediction("1"))
    recent.remember("a", prediction("2"))

    found = recent.find("a")[1]

    assert found is not None
    assert found.version == "2"
    assert len(recent) == 1


def test_joined_predictions_give_their_bytes_back() -> None:
    """Only the id stays, to know a repetition by."""
    recent = RecentPredictions(100_000)
    recent.remember("a", prediction(rows=1000))
    before = recent.size_bytes

    recent.heard("a")

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


def test_long_texts_count_for_what_they_take() -> None:
    """An array of texts holds more than its pointers."""
    recent = RecentPredictions(100_000)

    recent.remember("a", Prediction("1", "stable", np.array(["x" * 10_000], object)))

    assert recent.size_bytes > 10_000


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["ask", "tell"]), st.integers(0, 40)), max_size=60))
def test_the_count_of_bytes_is_exact_whatever_happens(steps: list[tuple[str, str, int]]) -> None:
    """After any course of predictions, words and time the bytes are those of what is kept, and never more than allowed."""
    now = [0]
    recent = RecentPredictions(4000, keep_s=60, clock=lambda: now[0])
    for request_id, what, seconds in steps:
        now[0] += seconds * NS_PER_S
        if what == "ask":
            recent.remember(request_id, prediction(rows=seconds))
        else:
            word(recent, request_id)
        recent.expire()
        assert recent.size_bytes == sum(kept[1] for kept in recent._kept.values()) <= 4000
