"""What the tests of measurements share."""

from collections.abc import Callable

import msgspec
import pytest

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
