"""Marks: the same everywhere, and evenly spread."""

import uuid

import numpy as np
import pytest

from penstock.traffic.marks import MARKS, mark_of, threshold_of

SEQUENCE = [f"req-{number:06}" for number in range(20_000)]
RANDOM = [uuid.UUID(bytes=np.random.default_rng(number).bytes(16)).hex for number in range(20_000)]


def test_marks_are_the_same_in_every_process() -> None:
    """Replicas that were started years apart agree."""
    assert [mark_of("a"), mark_of("req-000001"), mark_of("ü", 1)] == [3320656311, 3275824531, 3947071860]


@pytest.mark.parametrize("ids", [SEQUENCE, RANDOM], ids=["sequence", "random"])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 1.0])
def test_a_share_of_all_ids_is_below_its_threshold(ids: list[str], share: float) -> None:
    """Within four standard deviations, whatever the ids look like."""
    below = sum(mark_of(one) < threshold_of(share) for one in ids)

    assert abs(below - share * len(ids)) <= 4 * np.sqrt(len(ids) * share * (1 - share))


def test_marks_of_another_salt_have_nothing_to_do_with_the_first() -> None:
    """Who samples what was sampled gets the share that is asked for."""
    first = np.array([mark_of(one) for one in SEQUENCE]) / MARKS
    second = np.array([mark_of(one, 1) for one in SEQUENCE]) / MARKS

    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert abs((second[first < 0.1] < 0.1).mean() - 0.1) < 0.03


def test_an_id_that_is_no_text_has_a_mark() -> None:
    """Bytes of a header may come as lone surrogates."""
    assert 0 <= mark_of("\udc80") < MARKS
