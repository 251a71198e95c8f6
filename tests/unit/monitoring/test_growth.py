"""Growth of memory told from noise, with a leak that must be found."""

import random
import subprocess
import sys
from typing import Final

import pytest

from penstock.execution.memory import own_bytes
from penstock.monitoring.growth import Growth, GrowthLimits

MIB = 1024**2
HOURS = [10.0 * look for look in range(720)]
QUICK = GrowthLimits(warm_s=0.0, block_s=3.0, blocks=20)
"""Three looks are a block, so that a test of real memory ends soon."""
OWN_GROWTH: Final = """
import numpy
from penstock.execution.memory import own_bytes
from penstock.monitoring.growth import Growth

growth, before = Growth(), own_bytes("self")
for look in range(360):
    growth.add(10.0 * look, 500 << 20)
assert growth.slope is not None
print(own_bytes("self") - before)
"""
"""Tells what the looks of an hour take themselves, in a process that has numpy, as every server has."""


def looked(sizes: list[float]) -> tuple[Growth, bool]:
    """Return what is known after two hours of looks, and whether growth was told of meanwhile."""
    growth, told = Growth(), False
    for now_s, size in zip(HOURS, sizes, strict=True):
        growth.add(now_s, int(size))
        told |= growth.growing
    return growth, told


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_growth(seed: int) -> None:
    """Memory that goes up and down by a tenth is steady, and so is one that has taken a step."""
    source = random.Random(seed)
    base = 500 * MIB
    noise, noise_told = looked([base + source.uniform(0, 50) * MIB for _ in HOURS])
    _, step_told = looked([base + source.uniform(0, 50) * MIB + 100 * MIB * (now_s > 5000) for now_s in HOURS])

    assert (noise_told, step_told) == (False, False)
    assert noise.slope is not None
    assert noise.slope.low <= 0 <= noise.slope.high


@pytest.mark.parametrize("seed", range(20))
def test_planted_leak_is_flagged_with_its_rate(seed: int) -> None:
    """40 MiB an hour under the same noise are certain, and the interval holds the true rate."""
    source = random.Random(seed)
    leak = 40 * MIB / 3600

    growth, told = looked([500 * MIB + leak * now_s + source.uniform(0, 50) * MIB for now_s in HOURS])

    assert told
    assert growth.slope is not None
    assert growth.slope.low <= leak <= growth.slope.high


def test_warm_up_is_not_growth_and_a_restart_forgets() -> None:
    """What the first five minutes take is not looked at; after a change of what is loaded nothing is known."""
    growth, told = looked([500 * MIB + 200 * MIB * min(1.0, now_s / 300) for now_s in HOURS])
    assert not told
    assert growth.slope is not None
    assert growth.slope.estimate == 0

    growth.restart()

    assert (growth.slope, growth.growing) == (None, False)


@pytest.mark.parametrize("leaks", [True, False], ids=["leak", "control"])
def test_real_leak_of_this_process_is_flagged(*, leaks: bool) -> None:
    """Blocks of real memory that nobody frees are seen in what the kernel says of the process; those that are freed are not."""
    growth, kept = Growth(QUICK), list[bytearray]()
    for look in range(70):
        block = bytearray(b"x" * (2 * MIB))
        if leaks:
            kept.append(block)
        del block
        growth.add(float(look), own_bytes("self"))

    assert growth.growing is leaks


def test_looking_takes_no_memory_itself() -> None:
    """The first slope comes after 25 minutes: what that took was a step in the memory of a server in which nothing else changed."""
    took = subprocess.run([sys.executable, "-c", OWN_GROWTH], capture_output=True, text=True, check=True).stdout

    assert int(took) < MIB // 4
