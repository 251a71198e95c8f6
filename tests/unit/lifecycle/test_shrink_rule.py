"""When memory is given back, look by look."""

from penstock.lifecycle.shrink_rule import ShrinkRule

MIB = 1024**2


def looks(rule: ShrinkRule, *largest: int) -> list[bool]:
    """Return what the rule says to runs of these sizes, one look each; 0 is a look without a run."""
    said = []
    for size in largest:
        looks.runs += size > 0  # type: ignore[attr-defined]
        said.append(rule.look(looks.runs, size))  # type: ignore[attr-defined]
    return said


looks.runs = 0  # type: ignore[attr-defined]


def test_steady_runs_are_left_alone() -> None:
    """What is used stays."""
    assert not any(looks(ShrinkRule(), *[MIB] * 20))


def test_idle_version_is_shrunk_once() -> None:
    """After six looks without a run, and not again before it has run."""
    rule = ShrinkRule()
    looks(rule, MIB)

    assert looks(rule, *[0] * 20).index(True) == 5
    assert not any(looks(rule, *[0] * 20))
    looks(rule, MIB)
    assert any(looks(rule, *[0] * 6))


def test_peak_that_does_not_come_again_is_given_back_under_load() -> None:
    """One large shape among small ones; the small ones that go on give no second reason."""
    rule = ShrinkRule()
    looks(rule, 64 * MIB)

    assert looks(rule, *[MIB] * 20).count(True) == 1


def test_peak_that_comes_again_is_kept() -> None:
    """Every few looks is often enough."""
    assert not any(looks(ShrinkRule(), *[64 * MIB, MIB, MIB] * 10))


def test_version_that_never_ran_is_left_alone() -> None:
    """There is nothing to give back."""
    assert not any(looks(ShrinkRule(), *[0] * 20))
