"""The breaker, at times that a test says."""

from penstock.execution.breaker import Breaker, BreakerState


def test_third_death_within_five_minutes_opens_it() -> None:
    """Two are borne, and so is a third one later."""
    breaker = Breaker()
    for now_s in (0.0, 100.0, 300.5):
        breaker.died(now_s)
        assert breaker.state is BreakerState.CLOSED

    breaker.died(399.0)

    assert breaker.state is BreakerState.OPEN
    assert breaker.pause_s(400.0) == 29.0


def test_deaths_of_rows_that_had_killed_before_do_not_open_it() -> None:
    """A batch that is divided to find an offender kills one worker after the other."""
    breaker = Breaker()
    breaker.died(0.0)
    for now_s in range(1, 20):
        breaker.died(float(now_s), counts=False)

    assert breaker.state is BreakerState.CLOSED


def test_pause_grows_until_a_run_passes() -> None:
    """The first worker is replaced at once, later ones ever later."""
    breaker = Breaker()
    pauses = []
    for now_s in range(9):
        breaker.died(float(now_s), counts=False)
        pauses.append(breaker.pause_s(float(now_s)))

    assert pauses == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    breaker.passed()
    breaker.died(10.0, counts=False)
    assert breaker.pause_s(10.0) == 0.0


def test_half_open_is_decided_by_the_next_end() -> None:
    """A death rests it twice as long, up to five minutes; a run that passes closes it and forgets the deaths."""
    breaker = Breaker()
    for _ in range(3):
        breaker.died(0.0)
    rests = []
    for _ in range(5):
        rests.append(breaker.pause_s(0.0))
        breaker.rested()
        assert breaker.state is BreakerState.HALF_OPEN
        breaker.died(0.0)
        assert breaker.state is BreakerState.OPEN

    assert rests == [30.0, 60.0, 120.0, 240.0, 300.0]
    breaker.rested()
    breaker.passed()
    breaker.died(1.0)
    breaker.died(1.0)
    assert breaker.state is BreakerState.CLOSED
    breaker.died(1.0)
    assert breaker.pause_s(1.0) == 30.0
