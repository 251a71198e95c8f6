"""Predictions are refused while memory is short, and not for a flicker."""

import pytest

from penstock.domain.errors import Overloaded, Unavailable
from penstock.domain.request import InferenceRequest
from penstock.inference.admission import Admission
from penstock.inference.memory_pressure import MemoryPressure


class Used:
    """A limit of which a test says how much is in use."""

    def __init__(self, part: float | None) -> None:
        self.part = part

    def used_part(self) -> float | None:
        """Return it."""
        return self.part


def test_short_memory_refuses_until_there_is_room_again() -> None:
    """Between nine tenths and a little less it stays as it was."""
    admission, used = Admission(30, 300), Used(0.5)
    pressure = MemoryPressure(admission, 0.9, used)
    seen = []

    for part in (0.5, 0.89, 0.91, 0.89, 0.86, 0.89):
        used.part = part
        pressure.look()
        seen.append(admission.short_of_memory)

    assert seen == [False, False, True, True, False, False]


def test_request_that_memory_is_short_for_may_come_back() -> None:
    """429 with a time; a server that shuts down says so instead."""
    admission = Admission(30, 300)
    admission.short_of_memory = True

    with pytest.raises(Overloaded, match="short of memory") as refused:
        admission.admit(InferenceRequest("http", "m", "", []))

    assert refused.value.retry_after_s == 2
    admission.draining = True
    with pytest.raises(Unavailable, match="shutting down"):
        admission.admit(InferenceRequest("http", "m", "", []))


def test_nothing_is_looked_at_where_nothing_is_limited() -> None:
    """There is no thread."""
    pressure = MemoryPressure(Admission(30, 300), 0.9, Used(None))

    pressure.start()

    assert pressure.part is None
    assert pressure._thread is None
    pressure.close()
