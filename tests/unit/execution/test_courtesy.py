"""Courtesy: the interpreter is handed over soon, as long as anybody asks for that."""

import sys

from penstock.execution.courtesy import Courtesy


def test_interval_is_short_meanwhile_and_then_as_before() -> None:
    """However many threads are courteous, and whatever they do."""
    usual_s = sys.getswitchinterval()

    with Courtesy():
        short_s = sys.getswitchinterval()
        with Courtesy():
            assert sys.getswitchinterval() == short_s
        assert sys.getswitchinterval() == short_s

    assert short_s < usual_s / 10
    assert sys.getswitchinterval() == usual_s


def test_block_that_does_not_end_can_be_ended_from_outside() -> None:
    """Once: when it ends after all, it takes no courtesy away from others."""
    usual_s = sys.getswitchinterval()
    late, other = Courtesy(), Courtesy()

    with late:
        late.end()
        assert sys.getswitchinterval() == usual_s
        with other:
            late.end()
            assert sys.getswitchinterval() < usual_s

    assert sys.getswitchinterval() == usual_s
