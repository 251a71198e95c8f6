"""A minute of clients that cancel, reset, vanish and come back leaves nothing behind; `benchmarks/grpc_soak.py --minutes 30` goes on longer."""

import asyncio
import sys
from pathlib import Path
from typing import Final

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))  # the soak is a benchmark too

import grpc_soak
from harness import cores, serving_mlp

SECONDS: Final = 60
NOISE: Final = {"memory, MiB": 8.0, "descriptors": 8.0}
"""What may come and go; a leak of one call in ten would pass it several times over."""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_grows_under_cancels_resets_and_reconnects() -> None:
    """The slope of memory and of descriptors covers zero, or is lost in the noise; and all is gone at the end."""
    with serving_mlp(cores()[0], "grpc.transport=native", "defaults.slo_ms=60000") as server:
        slopes, done, left = asyncio.run(grpc_soak.soak(server, SECONDS))

    assert [slope for slope in slopes if slope.low > 0 and slope.last - slope.first > NOISE[slope.what]] == []
    assert left <= 0
    assert set(done) == {"calls", "cancels", "channels", "connections cut", "streams", "streams called off"}
