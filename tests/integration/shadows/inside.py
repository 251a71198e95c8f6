"""A house in this process, so that a test sees what no wire tells: threads, leases and moments."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from penstock.config.settings import Settings
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.route import Shadow
from penstock.domain.tensor import DATATYPES, Array, Tensor
from penstock.house import House
from penstock.http.shadow_report import shadows_of
from penstock.lifecycle.version import ServedVersion

WITHIN_S: Final = 30


class Inside:
    """Asks a house directly."""

    def __init__(self, house: House, model: str) -> None:
        self.house: Final = house
        self.shadows: Final = house.shadows
        self._model = model

    def version(self, number: int) -> ServedVersion:
        """Return a version of the model."""
        return self.house.catalog.models[self._model].versions[number]

    async def ask(self, request_id: str = "r", rows: int = 1) -> InferenceResponse:
        """Ask the primary, and check what it answers."""
        asked: Array = np.random.default_rng(rows).random((rows, 4), np.float32)
        inputs = [Tensor("X", DATATYPES["FP32"], asked)]
        response = await self.house.predictor.predict(InferenceRequest("http", self._model, "", inputs, request_id=request_id))
        assert response.version.version == "1"
        assert response.outputs[0].array.tobytes() == (asked + asked).tobytes()
        return response

    async def ask_many(self, number: int) -> None:
        """Ask so many at once."""
        await asyncio.gather(*(self.ask(f"r{each}") for each in range(number)))

    @property
    def told(self) -> dict[str, Any]:
        """What is told of the first shadow."""
        report: Any = shadows_of(self.shadows, self._model)
        first: dict[str, Any] = report["shadows"][0]
        return first

    async def settled(self, sampled: int) -> dict[str, Any]:
        """Return the same once so many requests have come to the shadow, and each to its end."""
        await until(lambda: sum(self.told["ends"].values()) == self.told["sampled"] == sampled)
        return self.told


@asynccontextmanager
async def inside(registry: Path, model: str, options: dict[str, object], *shadows: Shadow) -> AsyncIterator[Inside]:
    """Serve a registry's model, version 1, with version 2 or others as its shadows."""
    told = {
        "registry": {"uri": str(registry), "poll_s": 0},
        "server": {"state_dir": str(registry.parent / "state")},
        "defaults": {"warmup": "off", "slo_ms": 60_000.0},
        "shadows": {"noise_sample": 0.0, "device_share": 1.0, "max_loop_load": 1.0} | options,
    }
    house = House(msgspec.convert(told, Settings), ())
    await house.manager.start()
    served = house.catalog.models[model]
    served.aliases["champion"] = 1
    served.forget()
    house.shadows.follow(model, shadows or (Shadow("2", 1.0),))
    try:
        yield Inside(house, model)
    finally:
        house.shadows.abandon()
        await house.manager.aclose()


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds."""
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 - a test polls
            await asyncio.sleep(0.005)
