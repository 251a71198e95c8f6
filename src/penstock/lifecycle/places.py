"""Threads that runs are under way on: those of a device, which its versions share, or those of one version in a worker process."""

import asyncio
from typing import Final, NamedTuple

from penstock.batching.share import DeviceShare
from penstock.domain.session import Session
from penstock.execution.cores import usable_cores
from penstock.execution.devices import Device
from penstock.execution.isolated_session import IsolatedSession
from penstock.execution.pool import DevicePool

_GPU_SLOTS: Final = 2
"""A GPU runs one batch at a time while the next one is copied to it."""


class Place(NamedTuple):
    """Threads, and how they are shared."""

    pool: DevicePool
    share: DeviceShare

    @property
    def hop_ns(self) -> int:
        """What a run on one of the threads costs beside itself; 0 where every run goes to a thread, whatever that costs."""
        return self.pool.hop_ns


class Places:
    """Lives on the event loop."""

    def __init__(self) -> None:
        self._of_device: dict[Device, Place] = {}
        self._making = asyncio.Lock()

    async def of(self, session: Session, device: Device, lanes: int) -> Place:
        """Return the place of a session's runs.

        Runs in a worker process only wait here: where they hang, they must not take threads or slots from those of healthy models.
        """
        if isinstance(session, IsolatedSession):
            place = Place(DevicePool("worker", lanes), DeviceShare(lanes))
            session.when_closed = place.pool.retire
            return place
        async with self._making:  # versions that load beside each other share one too
            if device not in self._of_device:
                self._of_device[device] = await self._new(device)
        return self._of_device[device]

    async def _new(self, device: Device) -> Place:
        slots = max(2, usable_cores()) if device.kind == "cpu" else _GPU_SLOTS
        place = Place(DevicePool(str(device), slots), DeviceShare(slots))
        if device.kind == "cpu":
            await place.pool.measure_hop()
        return place

    def close(self) -> None:
        """End the threads; blocks until their last run is done."""
        for place in self._of_device.values():
            place.pool.close()
