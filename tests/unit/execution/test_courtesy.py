"""Courtesy: the interpreter is handed over soon, as long as anybody asks for that."""

import sys

from penstock.execution.courtesy import courteous


def test_interval_is_short_meanwhile_and_then_as_before() -> None:
    """However many threads are courteous, and whatever they do."""
    usual_s = sys.getswitchinterval()

    with courteous():
        short_s = sys.getswitchinterval()
        with courteous():
            assert sys.getswitchinterval() == short_s
        assert sys.getswitchinterval() == short_s

    assert short_s < usual_s / 10
    assert sys.getswitchinterval() == usual_s
