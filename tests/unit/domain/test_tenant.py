"""Rates and predictions under way, of one tenant."""

import pytest

from penstock.domain.clock import NS_PER_MS, NS_PER_S
from penstock.domain.errors import QuotaExceeded
from penstock.domain.tenant import Allowance, Tenant


def admitted(tenant: Tenant, allowance: Allowance, instants: list[int]) -> int:
    """Return how many of the predictions that come then are admitted."""
    count = 0
    for now_ns in instants:
        try:
            tenant.admit(allowance, now_ns)
        except QuotaExceeded:
            continue
        count += 1
    return count


@pytest.mark.parametrize(("rate", "burst", "at_once"), [(10, 0, 10), (10, 3, 3), (0.5, 0, 1), (1000, 1, 1), (7, 21, 21)])
def test_burst_comes_at_once_and_then_the_rate_holds(rate: float, burst: float, at_once: int) -> None:
    """Over a minute, however much is asked for."""
    tenant, allowance = Tenant("shop"), Allowance(rate, burst)

    assert admitted(tenant, allowance, [NS_PER_S] * 100) == at_once
    later = [NS_PER_S + n * NS_PER_MS for n in range(1, 60_001)]
    assert abs(admitted(tenant, allowance, later) - rate * 60) <= 1 + rate * 0.001


def test_time_to_come_back_is_right() -> None:
    """A call just before it is refused, one at it is not."""
    tenant, allowance = Tenant("shop"), Allowance(rate=4, burst=1)
    tenant.admit(allowance, NS_PER_S)

    with pytest.raises(QuotaExceeded, match="4 predictions per second") as raised:
        tenant.admit(allowance, NS_PER_S)

    assert raised.value.retry_after_s == pytest.approx(0.25)
    assert admitted(tenant, allowance, [NS_PER_S + 249 * NS_PER_MS, NS_PER_S + 250 * NS_PER_MS]) == 1


def test_silence_is_not_saved_up() -> None:
    """After an hour without a call the burst is what it was."""
    tenant, allowance = Tenant("shop"), Allowance(rate=10, burst=5)
    admitted(tenant, allowance, [0] * 10)

    assert admitted(tenant, allowance, [3600 * NS_PER_S] * 10) == 5


def test_so_many_may_be_under_way() -> None:
    """The one that is asked for is counted already."""
    tenant, allowance = Tenant("shop"), Allowance(max_in_flight=2)
    for tenant.in_flight in (1, 2):
        tenant.admit(allowance, 0)
    tenant.in_flight = 3

    with pytest.raises(QuotaExceeded, match="2 predictions under way"):
        tenant.admit(allowance, 0)
