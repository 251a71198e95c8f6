"""Faults of those who only look on are counted each time and told now and then."""

import logging

import pytest

from penstock.domain.clock import NS_PER_S
from penstock.telemetry.hook_errors import HookErrors


def test_faults_are_counted_and_told_once_in_half_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """By hook, with the stack."""
    now = [NS_PER_S]
    errors = HookErrors(lambda: now[0])

    def fail(_: object) -> None:
        raise RuntimeError("a fault")

    call = errors.guarded("drift", fail)
    with caplog.at_level(logging.ERROR):
        for now[0] in (NS_PER_S, 2 * NS_PER_S, 32 * NS_PER_S):
            call("ticket")

    assert errors.counts["drift"] == 3
    assert errors.counts["log"] == 0
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
