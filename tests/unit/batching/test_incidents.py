"""When a broken lane may be sound again."""

import pytest

from penstock.batching.incidents import Incidents
from penstock.domain.clock import NS_PER_S


@pytest.fixture
def incidents() -> Incidents:
    """Return incidents of which one lane has just failed its check, at 0: it rests for a second."""
    incidents = Incidents(can_check=True)
    incidents._checking[0] = None
    incidents.checked(0, 0, sound=False)
    return incidents


def test_rest_runs_down(incidents: Incidents) -> None:
    """A caller is told to come back when the lane is tried again."""
    assert [incidents.sound_in(now_ns) for now_ns in (0, NS_PER_S // 4, 3 * NS_PER_S)] == [NS_PER_S, 3 * NS_PER_S // 4, 0]


def test_lane_that_is_being_tried_may_rest_once_more(incidents: Incidents) -> None:
    """Nobody is sent away for ever while the check is under way."""
    assert incidents.try_again(NS_PER_S) == [0]

    assert incidents.sound_in(NS_PER_S) == NS_PER_S


def test_without_broken_lanes_there_is_nothing_to_wait_for() -> None:
    """All lanes are sound."""
    assert Incidents(can_check=True).sound_in(0) == 0
