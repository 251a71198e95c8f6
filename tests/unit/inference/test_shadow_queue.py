"""What waits for a shadow: who may wait, who goes first, and whose memory it is."""

import numpy as np
import pytest

from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.tensor import DATATYPES, Tensor
from penstock.inference.shadow_pair import ShadowPair
from penstock.inference.shadow_queue import HeldBytes, ShadowEnd, ShadowQueue

SIZE = 2048 + 16
"""Bytes of a pair."""


def pair(name: str = "r") -> ShadowPair:
    """Return a pair of a request with that id."""
    inputs = [Tensor("X", DATATYPES["FP32"], np.ones((1, 4), np.float32))]
    request = InferenceRequest("http", "m", "", inputs, request_id=name)
    return ShadowPair(request, InferenceResponse(ModelVersion("m", "1"), [], name), 5)


def queue(held: HeldBytes, reference: str = "2") -> ShadowQueue:
    """Return the queue of a shadow."""
    return ShadowQueue("m", reference, held)


def names(pairs: list[ShadowPair]) -> list[str]:
    """Return the ids of their requests."""
    return [pair.request.request_id for pair in pairs]


def ends(subject: ShadowQueue) -> dict[str, int]:
    """Return what became of the requests."""
    return {str(end): count for (_, end), count in subject.ends.items()}


def test_pairs_come_out_in_the_order_in_which_they_came() -> None:
    """As many as a turn may have; those are held on until it is over."""
    held = HeldBytes(10 * SIZE)
    subject = queue(held)
    for name in "abc":
        subject.offer(pair(name))

    turn = subject.take(2)

    assert (names(turn), len(subject), subject.sampled) == (["a", "b"], 1, 3)
    assert subject.size_bytes == held.held == 3 * SIZE
    subject.settled(turn, ShadowEnd.COMPARED)
    assert subject.size_bytes == held.held == SIZE
    assert ends(subject) == {"compared": 2}


def test_what_a_turn_has_left_over_goes_first_and_in_its_order() -> None:
    """It has waited the longest, and its memory was never given back."""
    held = HeldBytes(10 * SIZE)
    subject = queue(held)
    for name in "abcd":
        subject.offer(pair(name))
    turn = subject.take(3)
    subject.settled(turn[:1], ShadowEnd.COMPARED)

    subject.put_back(turn[1:])

    assert names(subject.take(9)) == ["b", "c", "d"]
    assert held.held == 3 * SIZE


def test_queue_that_the_route_has_dropped_takes_nothing_any_more() -> None:
    """Neither what comes late nor what a turn leaves over: each ends, and nothing is held."""
    held = HeldBytes(10 * SIZE)
    subject = queue(held)
    for name in "abc":
        subject.offer(pair(name))
    turn = subject.take(2)

    subject.drop(ShadowEnd.REMOVED)
    subject.leave()
    subject.put_back(turn)
    subject.offer(pair("late"))

    assert (len(subject), subject.size_bytes, held.held, held.queues) == (0, 0, 0, 0)
    assert (ends(subject), subject.sampled) == ({"removed": 4}, 4)


@pytest.mark.parametrize(("most", "waiting"), [(3 * SIZE, 3), (3 * SIZE - 1, 2), (SIZE - 1, 0)])
def test_queue_is_full_at_its_bytes(most: int, waiting: int) -> None:
    """To the byte; what does not fit is counted, and nothing of it is kept."""
    held = HeldBytes(most)
    subject = queue(held)

    for _ in range(4):
        subject.offer(pair())

    assert (len(subject), held.held) == (waiting, waiting * SIZE)
    assert ends(subject) == {"full": 4 - waiting}


def test_queues_share_the_memory_in_equal_parts() -> None:
    """A slow shadow leaves the others theirs, and one that goes leaves its own."""
    held = HeldBytes(6 * SIZE)
    slow, quick = queue(held), queue(held, "3")
    for subject in (slow, quick):
        for _ in range(5):
            subject.offer(pair())
    assert (len(slow), len(quick), held.held) == (3, 3, 6 * SIZE)

    quick.drop(ShadowEnd.REMOVED)
    quick.leave()
    for _ in range(5):
        slow.offer(pair())

    assert (len(slow), held.held) == (6, 6 * SIZE)


def test_memory_that_is_held_by_others_is_nobodys_to_give() -> None:
    """A queue that is new may find less than its part, until the others have given back what they held before it came."""
    held = HeldBytes(4 * SIZE)
    first = queue(held)
    for _ in range(4):
        first.offer(pair())
    second = queue(held, "3")

    second.offer(pair())
    assert ends(second) == {"full": 1}

    first.settled(first.take(1), ShadowEnd.COMPARED)
    second.offer(pair())
    assert (len(second), held.held) == (1, 4 * SIZE)


def test_request_of_which_nothing_was_kept_is_counted() -> None:
    """Sampled, and ended."""
    subject = queue(HeldBytes(SIZE))

    subject.skip(ShadowEnd.BUSY)

    assert (subject.sampled, ends(subject), subject.size_bytes) == (1, {"busy": 1}, 0)
