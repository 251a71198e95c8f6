"""What the tests of measurements share, and a house for rollouts."""

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))  # the module beside this one, whatever pytest's import mode

from rollout_house import House

from penstock.lifecycle.conditions import Conditions

BASE = Conditions(
    model="digits",
    digest="d1",
    device="cpu",
    provider="CPUExecutionProvider",
    engine="1.32.0",
    hardware="Fast 9000",
    cores=2,
    settings="none",
    lanes=2,
    threads=1,
    shapes="X FP32[-1, 4]",
)


@pytest.fixture
def under() -> Callable[..., Conditions]:
    """Return a function that gives conditions, with some of them changed."""

    def changed(**values: object) -> Conditions:
        return msgspec.structs.replace(BASE, **values)

    return changed


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Return a house whose rollouts end with the test."""
    house = House(tmp_path)
    await house.rollouts.start()
    yield house
    await house.rollouts.aclose()
