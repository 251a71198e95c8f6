"""A catalog made by hand with rollouts over real routes, whose registry and disk can fail."""

import asyncio
from pathlib import Path

from penstock.domain.errors import PenstockError
from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest
from penstock.domain.route import Route
from penstock.domain.schema import ModelSchema
from penstock.domain.ticket import Ticket
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.rollout_record import Record, RolloutStore
from penstock.lifecycle.rollout_run import Surroundings
from penstock.lifecycle.rollouts import Rollouts
from penstock.lifecycle.route_store import KeptRoute, RouteStore
from penstock.lifecycle.routes import Routes
from penstock.lifecycle.version import ServedVersion
from penstock.telemetry.readings import Readings
from penstock.traffic.share import Share

PLAN = {
    "canary": "challenger",
    "steps": [{"weight": 10, "hold_s": 5}, {"weight": 50, "hold_s": 5}],
    "gates": {"min_requests": 20, "max_bad_share": 1, "latency": None},
}
BASE = Route(stable="champion")


class Disk(RouteStore):
    """Keeps routes, unless it is full."""

    full = False

    def keep(self, model: str, kept: KeptRoute) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().keep(model, kept)


class Records(RolloutStore):
    """Keeps records, and counts how often it is asked to."""

    asked = 0

    def keep(self, record: Record) -> bool:
        self.asked += 1
        return super().keep(record)


class Promotions:
    """Moves an alias as the real ones do, unless the registry takes no changes."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self.refusal: PenstockError | None = None
        self.quick = asyncio.Event()
        """Set unless the registry and the disk take their time between the alias and the route."""
        self.quick.set()
        self.moved = asyncio.Event()
        self.asked: list[str] = []

    async def promote(self, name: str, arm: str = "") -> None:
        self.asked.append(f"promote {arm}")
        if self.refusal is not None:
            raise self.refusal
        self._house.move("champion", 2)
        self.moved.set()
        await self.quick.wait()
        await self._house.put(BASE, before="1")

    async def rollback(self, name: str) -> None:
        self.asked.append("rollback")
        if (active := self._house.routes.of(name)) is not None and active.route.canaries:
            await self._house.put(BASE)


class Outputs:
    """How far the canary's outputs lie from the stable version's."""

    def __init__(self) -> None:
        self.why = ""
        self.distances: list[float | None] = []
        self.asked: list[tuple[str, tuple[str, str], tuple[str, str]]] = []

    def obstacle(self, model: str, canary: str, stable: str) -> str:
        return self.why

    def between(self, model: str, canary: tuple[str, str], stable: tuple[str, str]) -> float | None:
        self.asked.append((model, canary, stable))
        return self.distances.pop(0) if self.distances else None


class House:
    """Three ready versions of one model, and rollouts of it that an earlier process has left nothing of."""

    def __init__(self, state_dir: Path) -> None:
        self.catalog = Catalog()
        self.model = self.catalog.served("m")
        for number in (1, 2, 3):
            version = self.model.versions[number] = ServedVersion(ModelVersion("m", str(number)))
            version.schema = ModelSchema((), (), batched=True)
            version.ready = True
        self.model.aliases.update(champion=1, challenger=2)
        self.disk = Disk(state_dir)
        self.routes = Routes(self.catalog, self.disk, lambda _: None)
        self.compared = Share(5, 50)
        self.outputs: Outputs | None = None
        self.promotions = Promotions(self)
        self.store = Records(state_dir)
        self.rollouts = self.restarted()

    def restarted(self) -> Rollouts:
        """Return the rollouts of a process that begins."""
        around = Surroundings(
            self.routes,
            self.store,
            Readings((), list),
            self.promotions,  # type: ignore[arg-type]
            lambda *_: self.compared,
            self.outputs,
        )
        return Rollouts(self.catalog, around, look_s=3600)

    async def put(self, route: Route, before: str | None = None) -> None:
        """Set the route as somebody with the token does."""
        await self.routes.put("m", route, who="admin", before=before)

    @property
    def route(self) -> Route | None:
        """The route of the model."""
        active = self.routes.of("m")
        return None if active is None else active.route

    def move(self, alias: str, number: int) -> None:
        """Let an alias name another version."""
        self.model.aliases[alias] = number
        self.model.forget()

    def serve(self, count: int, status: str = "CANCELLED") -> None:
        """Let predictions end in both arms; the canary's with a status."""
        for number, arm, end in ((1, "stable", "CANCELLED"), (2, "challenger", status)):
            for _ in range(count):
                ticket = Ticket(InferenceRequest("http", "m", "", []), None, lambda _: None, lambda: 0)  # type: ignore[arg-type]
                ticket.arm = arm
                self.model.versions[number].statistics.failed(ticket, end)

    def kept(self) -> Record:
        (record,) = self.store.all()
        return record

    def weights(self) -> list[float]:
        assert self.route is not None
        return [canary.weight for canary in self.route.canaries]
