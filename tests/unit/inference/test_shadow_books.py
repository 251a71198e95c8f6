"""What is kept of shadows, and of versions that are run again, while others come and go."""

from typing import Final

import numpy as np

from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.tensor import DATATYPES, Tensor
from penstock.inference.options import ShadowOptions
from penstock.inference.shadow_books import ShadowBooks
from penstock.inference.shadow_pair import ShadowPair
from penstock.inference.shadow_queue import HeldBytes, ShadowEnd

SIZE: Final = 2048 + 16
"""Bytes of a pair."""


def books(held: HeldBytes) -> ShadowBooks:
    """Return books without a shadow."""
    return ShadowBooks(ShadowOptions(), held)


def pair() -> ShadowPair:
    """Return a request that was answered."""
    request = InferenceRequest("http", "m", "", [Tensor("X", DATATYPES["FP32"], np.ones((1, 4), np.float32))], request_id="r")
    return ShadowPair(request, InferenceResponse(ModelVersion("m", "1"), [], "r"), 5)


def test_what_was_counted_of_a_version_stays_while_others_are_run_again_in_turn() -> None:
    """Counters never go back: as often as it was run, whichever model or arm was answered in between."""
    subject = books(HeldBytes(10 * SIZE))
    for _ in range(3):
        for model, number in (("m", "1"), ("m", "2"), ("n", "1")):
            queue = subject.noise(model, number)
            queue.offer(pair())
            queue.settled(queue.take(1), ShadowEnd.COMPARED)

    assert [queue.ends.total() for queue in subject] == [3, 3, 3]


def test_versions_that_were_run_again_are_forgotten_when_they_are_many_but_for_what_holds_anything() -> None:
    """The ones that came first go first: years of versions leave no series behind."""
    subject = books(HeldBytes(1000 * SIZE))
    subject.noise("m", "1").offer(pair())

    for number in range(2, 102):
        subject.noise("m", str(number))

    numbers = [queue.reference for queue in subject]
    assert (len(numbers), numbers[0], numbers[1], numbers[-1]) == (64, "1", "39", "101")


def test_runs_on_versions_that_answered_have_a_part_of_the_memory_only_while_they_hold_any() -> None:
    """Most of them hold nothing most of the time, and shadows shall have that."""
    held = HeldBytes(4 * SIZE)
    subject = books(held)
    (shadow,) = subject.shadows("m", ["2"])
    again, idle = subject.noise("m", "1"), subject.noise("m", "3")
    again.offer(pair())
    for _ in range(3):
        shadow.offer(pair())
    assert (len(again), len(shadow), len(idle), held.queues) == (1, 2, 0, 2)

    again.settled(again.take(1), ShadowEnd.COMPARED)
    shadow.offer(pair())

    assert (len(shadow), held.queues, held.held) == (3, 1, 3 * SIZE)


def test_a_comparison_that_goes_on_outlives_those_that_have_ended() -> None:
    """Canaries come and go beside one stable version; what was found beside that for weeks is not lost to them."""
    subject = books(HeldBytes(SIZE))
    (shadow,) = subject.shadows("m", ["9"])
    ran, stable = ModelVersion("m", "9"), ModelVersion("m", "1")
    beside = subject.side(shadow, ran, stable)

    for number in range(2, 9):
        subject.side(shadow, ran, ModelVersion("m", str(number)))
        assert subject.side(shadow, ran, stable) is beside

    assert [comparison.primary.version for comparison in shadow.comparisons] == ["1", "6", "7", "8"]
