"""The log settings that clients may change."""

import logging
from collections.abc import Iterator

import pytest

from penstock.telemetry.logs import ROOT, LogSettings


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    before = logging.getLogger(ROOT).level
    yield
    logging.getLogger(ROOT).setLevel(before)


@pytest.mark.parametrize(
    ("started", "changes", "level"),
    [
        ("DEBUG", [{"log_format": "ISO8601"}], "DEBUG"),
        ("WARNING", [{"log_verbose_level": 1}], "DEBUG"),
        ("WARNING", [{"log_verbose_level": 1}, {"log_verbose_level": 0}], "WARNING"),
        ("WARNING", [{"log_info": True}], "INFO"),
        ("WARNING", [{"log_info": True}, {"log_info": False}], "WARNING"),
        ("DEBUG", [{"log_info": False}], "WARNING"),
        ("DEBUG", [{"log_info": False}, {"log_info": True}], "DEBUG"),
        ("INFO", [{"log_info": False, "log_warning": False}], "ERROR"),
        ("INFO", [{"log_info": False, "log_warning": False, "log_error": False}], "CRITICAL"),
    ],
)
def test_what_is_not_said_stays_as_the_server_was_started(started: str, changes: list[dict[str, object]], level: str) -> None:
    """A change of the format ends no debugging, and the way back from a verbose level leads to where it began."""
    logging.getLogger(ROOT).setLevel(started)
    settings = LogSettings()

    for change in changes:
        settings.update(change)

    assert logging.getLevelName(logging.getLogger(ROOT).level) == level
