"""Which versions stay loaded after an alias has left them."""

from penstock.lifecycle.kept_warm import KeptWarm


def test_version_is_kept_until_its_time() -> None:
    """And not at it."""
    kept = KeptWarm()
    kept.leave("champion", 1, 60.0)

    assert (kept.numbers(0.0), kept.numbers(59.9), kept.next_end_s()) == ({1}, {1}, 60.0)
    assert (kept.numbers(60.0), kept.next_end_s()) == (set(), None)


def test_alias_keeps_only_the_last_that_it_left() -> None:
    """Others keep their own."""
    kept = KeptWarm()
    kept.leave("champion", 1, 60.0)
    kept.leave("challenger", 7, 50.0)
    kept.leave("champion", 2, 90.0)

    assert (kept.numbers(0.0), kept.next_end_s()) == ({2, 7}, 50.0)
    assert (kept.numbers(55.0), kept.next_end_s()) == ({2}, 90.0)
