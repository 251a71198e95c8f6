"""Where runs of versions go."""

import asyncio
import threading
from typing import Any

import pytest

from penstock.execution.devices import Device
from penstock.lifecycle.places import Places


@pytest.mark.asyncio
async def test_versions_that_load_beside_each_other_share_a_device() -> None:
    """Its threads and its turns; all of them end with it."""
    places, session, before = Places(), object(), threading.active_count()
    none: Any = session

    got = await asyncio.gather(*(places.of(none, Device("cpu"), 2) for _ in range(5)))
    places.close()

    assert all(place is got[0] for place in got)
    assert threading.active_count() == before
