"""Spare time: what predictions leave over, within a budget."""

import pytest

from penstock.batching.share import DeviceShare
from penstock.batching.spare_time import SpareTime
from penstock.domain.clock import NS_PER_S


def nothing() -> None:
    """Hear that a slot is free."""


@pytest.fixture(name="share")
def _share() -> DeviceShare:
    """A device of two slots."""
    return DeviceShare(2)


@pytest.fixture(name="spare")
def _spare(share: DeviceShare) -> SpareTime:
    """Half of its time."""
    return SpareTime(share, 0.5)


def test_one_run_at_a_time(spare: SpareTime) -> None:
    """A second one waits for the first."""
    assert spare.begin(1) is not None
    assert spare.taken
    assert spare.begin(2) is None

    spare.end(1, 3)

    assert not spare.taken
    assert spare.begin(4) is not None


def test_no_run_begins_beside_a_prediction(share: DeviceShare, spare: SpareTime) -> None:
    """On two slots; and none while a version waits for its turn."""
    tenant = share.join(nothing)
    tenant.started(100)
    assert spare.begin(1) is None

    tenant.ended(100, 100)
    share.waiting[tenant] = 0.0
    assert spare.begin(2) is None

    tenant.rest()
    assert spare.begin(3) is not None


def test_a_prediction_ends_the_run(share: DeviceShare, spare: SpareTime) -> None:
    """At once, and without waiting for it: it has a slot of its own."""
    halt = spare.begin(1)
    assert halt is not None
    assert not halt.asked

    share.join(nothing).started(100)

    assert halt.asked
    assert share.free == 1


def test_many_cores_have_time_for_both() -> None:
    """Half of eight slots, less one, may be busy."""
    share = DeviceShare(8)
    spare, tenant = SpareTime(share, 1.0), share.join(nothing)
    for _ in range(3):
        tenant.started(100)
    halt = spare.begin(1)
    assert halt is not None
    assert not halt.asked

    tenant.started(100)

    assert halt.asked


def test_budget_is_kept(spare: SpareTime) -> None:
    """A run of a second costs two of waiting, and nothing is saved up for more than a second."""
    assert spare.begin(10 * NS_PER_S) is not None
    spare.end(NS_PER_S, 11 * NS_PER_S)
    assert spare.begin(11 * NS_PER_S + NS_PER_S // 2) is None
    assert spare.begin(12 * NS_PER_S + 1) is not None
    spare.end(0, 12 * NS_PER_S + 1)

    assert spare.begin(100 * NS_PER_S) is not None
    spare.end(NS_PER_S, 101 * NS_PER_S)
    assert spare.begin(101 * NS_PER_S) is None
    assert spare.begin(102 * NS_PER_S) is not None
