"""The latest events of a model."""

from penstock.lifecycle.events import KEPT, Events
from penstock.lifecycle.states import VersionState


def test_latest_are_kept_in_order() -> None:
    """Older ones go."""
    events = Events()
    for number in range(KEPT + 5):
        events.add("admin", "alias champion", number, number + 1)

    kept = events.latest()

    assert len(kept) == KEPT
    assert [(kept[0].before, kept[0].after), (kept[-1].before, kept[-1].after)] == [("5", "6"), ("24", "25")]


def test_nothing_there_is_an_empty_text() -> None:
    """States are told by their names."""
    events = Events()
    events.add("server", "version 3", None, VersionState.READY, "why")

    assert events.latest()[0][1:] == ("server", "version 3", "", "READY", "why")


def test_what_repeats_itself_is_kept_once() -> None:
    """A version that fails again at every look leaves room for what else has happened."""
    events = Events()
    for _ in range(3):
        events.add("server", "version 3", "LOADING", "FAILED", "no room")
        events.add("admin", "alias champion", 1, 2)
        events.add("admin", "alias champion", 2, 1)

    assert len(events.latest()) == 1 + 3 * 2
