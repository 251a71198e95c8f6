"""The drift gate: what it asks, when it breaks, and when it is refused."""

import pytest
import pytest_asyncio
from rollout_house import PLAN, Outputs

from penstock.domain.errors import Conflict
from penstock.traffic.rollout import Phase

GATED = PLAN | {"gates": {"min_requests": 1, "max_bad_share": 1, "latency": None, "drift": {"max": 0.2, "looks": 2}}}


@pytest_asyncio.fixture
async def outputs(house) -> Outputs:
    """Have the house watch outputs."""
    await house.rollouts.aclose()
    house.outputs = Outputs()
    house.rollouts = house.restarted()
    await house.rollouts.start()
    return house.outputs


@pytest.mark.asyncio
async def test_gate_is_refused_where_the_outputs_cannot_be_compared(house, outputs):
    """With the reason; no rollout would ever end."""
    outputs.why = "the versions have no output in common that is watched"

    with pytest.raises(Conflict, match="cannot compare versions 2 and 1: the versions have no output in common"):
        await house.rollouts.begin("m", GATED)


@pytest.mark.asyncio
async def test_canary_breaks_the_gate_in_so_many_windows_in_a_row(house, outputs):
    """A look without a new window neither counts nor forgives; both arms are asked for by their names."""
    rollout = await house.rollouts.begin("m", GATED)
    outputs.distances = [0.5, None, 0.0, 0.5, None]
    for _ in range(5):
        await rollout.look(0.1)
    assert rollout.state.phase is Phase.HOLDING

    outputs.distances = [0.3]
    await rollout.look(0.1)

    assert rollout.state.phase is Phase.ROLLED_BACK
    assert "drift: 0.3 where 0.2 is tolerated" in rollout.state.why
    assert set(outputs.asked) == {("m", ("2", "challenger"), ("1", "stable"))}


@pytest.mark.asyncio
async def test_rollout_without_the_gate_does_not_have_outputs_gathered(house, outputs):
    """Nobody pays for what nobody asks."""
    rollout = await house.rollouts.begin("m", PLAN)
    await rollout.look(0.1)

    assert outputs.asked == []
