"""A catalog made by hand with rollouts over it, whose routes, registry and disk can fail."""

from pathlib import Path

from penstock.domain.errors import PenstockError
from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest
from penstock.domain.route import Route
from penstock.domain.ticket import Ticket
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.rollout_record import RolloutStore
from penstock.lifecycle.rollout_run import Surroundings
from penstock.lifecycle.rollouts import Rollouts
from penstock.lifecycle.routes import ActiveRoute
from penstock.lifecycle.version import ServedVersion
from penstock.telemetry.readings import Readings
from penstock.traffic.share import Share

PLAN = {
    "canary": "challenger",
    "steps": [{"weight": 10, "hold_s": 5}, {"weight": 50, "hold_s": 5}],
    "gates": {"min_requests": 20, "max_bad_share": 1, "latency": None},
}
BASE = Route(stable="champion")


class Routes:
    """Routes that can refuse."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.refusal: PenstockError | None = None

    def of(self, name: str) -> ActiveRoute | None:
        route = self.routes.get(name)
        return None if route is None else ActiveRoute(route, 1, "admin")

    def revision(self, name: str) -> int:
        return 1

    async def put(self, name: str, route: Route, *, who: str, why: str, if_match: int | None = None) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.routes[name] = route

    async def remove(self, name: str, *, who: str, why: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        del self.routes[name]


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
    """Two ready versions of one model, and rollouts of it."""

    def __init__(self, state_dir: Path) -> None:
        self.catalog = Catalog()
        self.model = self.catalog.served("m")
        for number in (1, 2, 3):
            version = self.model.versions[number] = ServedVersion(ModelVersion("m", str(number)))
            version.ready = True
        self.model.aliases.update(champion=1, challenger=2)
        self.routes = Routes()
        self.compared = Share(5, 50)
        self.outputs: Outputs | None = None
        self.promotion: PenstockError | None = None
        self.store = RolloutStore(state_dir)
        self.rollouts = self.restarted()

    def restarted(self) -> Rollouts:
        """Return the rollouts of a process that begins."""
        around = Surroundings(
            self.routes,
            self.store,
            Readings((), list),
            self.promote,
            lambda *_: self.compared,  # type: ignore[arg-type]
            self.outputs,
        )
        return Rollouts(self.catalog, around, look_s=3600)

    async def promote(self, name: str, arm: str) -> None:
        if self.promotion is not None:
            raise self.promotion
        self.model.aliases["champion"] = 2
        self.model.forget()
        self.routes.routes[name] = BASE

    def serve(self, count: int, status: str = "CANCELLED") -> None:
        """Let predictions end in both arms; the canary's with a status."""
        for number, arm, end in ((1, "stable", "CANCELLED"), (2, "challenger", status)):
            for _ in range(count):
                ticket = Ticket(InferenceRequest("http", "m", "", []), None, lambda _: None, lambda: 0)  # type: ignore[arg-type]
                ticket.arm = arm
                self.model.versions[number].statistics.failed(ticket, end)

    def kept(self) -> object:
        (record,) = self.store.all()
        return record

    def weights(self) -> list[float]:
        return [canary.weight for canary in self.routes.routes["m"].canaries]
