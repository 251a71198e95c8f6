"""Errors as HTTP answers."""

import pytest

from penstock.domain.errors import InvalidInput, QuotaExceeded, Unavailable
from penstock.http.errors import error_hints


@pytest.mark.parametrize(("seconds", "told"), [(0.0, "1"), (0.4, "1"), (1.0, "1"), (1.4, "2"), (2.5, "3"), (29.2, "30")])
def test_who_comes_back_when_told_is_not_too_early(seconds: float, told: str) -> None:
    """Seconds are whole in the header: the next one, never the one before."""
    assert error_hints(QuotaExceeded("slow down", retry_after_s=seconds)) == {"retry-after": told}


def test_only_what_may_pass_by_itself_tells_a_time() -> None:
    """A mistake stays one, however long somebody waits."""
    assert (error_hints(InvalidInput("no")), error_hints(Unavailable("loading"))) == ({}, {"retry-after": "1"})
