"""A minute of clients that cancel, reset, vanish and come back leaves nothing behind; `benchmarks/grpc_soak.py --minutes 30` goes on longer."""

import asyncio
import sys
from pathlib import Path
from typing import Final

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))  # the soak is a benchmark too

import grpc_soak
from holdings import LEAST

SECONDS: Final = 60


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_grows_under_cancels_resets_and_reconnects() -> None:
    """The slope of whatever the server holds covers zero, or is too small to matter; and all is gone at the end."""
    with grpc_soak.serving_soaked() as server:
        slopes, done, left = asyncio.run(grpc_soak.soak(server, SECONDS))

    assert [what for what, slope in slopes.items() if slope.is_leak(LEAST[what])] == []
    assert left <= 0
    assert set(done) == {"calls", "cancels", "channels", "connections cut", "streams", "streams called off"}
