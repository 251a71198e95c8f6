"""F35: somebody else on the machine who takes all that there is."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import pytest
from serving import GOOD, Serving

BURN = "while True: pass"
CALLERS, QUESTIONS = 16, 40


@contextmanager
def burning(processes: int) -> Iterator[None]:
    """Run so many processes that never rest, as long as the context lasts."""
    with ExitStack() as stack:
        for _ in range(processes):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", BURN]))
            stack.callback(process.kill)
        yield


async def ask(serving: Serving) -> Counter[int]:
    """Return the statuses that many callers are told at once."""
    told: Counter[int] = Counter()

    async def caller(client: httpx2.AsyncClient) -> None:
        for _ in range(QUESTIONS):
            told[(await client.post("/v2/models/id_fp32/infer", json=GOOD)).status_code] += 1

    async with httpx2.AsyncClient(base_url=f"http://{serving.addresses['http']}", timeout=60) as client, asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller(client))
    return told


@pytest.mark.slow
def test_neighbour_that_takes_all_cores_costs_refusals_and_nothing_else(serving: Serving) -> None:
    """Each request is answered, or refused with a reason; afterwards all is as before."""
    with serving.during("defaults.slo_ms=100"):
        with burning(4 * len(os.sched_getaffinity(0))):
            told = asyncio.run(ask(serving))
            serving.assert_serving()
        after = asyncio.run(ask(serving))

    assert told.total() == CALLERS * QUESTIONS
    assert told.keys() <= {200, 429, 504}
    assert told[200] > 0
    assert after[200] > 0.9 * after.total()
