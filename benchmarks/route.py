"""What a route adds to a prediction: `python benchmarks/route.py`, some seconds.

CPU time of the lease alone, the least of rounds that take turns with a model without a route. The limit is 1.5 us for one canary; a
model without a route pays nothing.
"""

from collections.abc import Callable
from time import thread_time_ns
from typing import Final

import numpy as np

from penstock.domain.clock import monotonic
from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.route import Canary, Route, Sticky
from penstock.domain.tensor import DATATYPES, Tensor
from penstock.domain.ticket import Ticket
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.states import VersionState
from penstock.lifecycle.version import ServedVersion
from penstock.traffic.split import Split

_CALLS: Final = 20_000
_ROUNDS: Final = 15
_B: Final = Canary("b", "2", 5.0)
_THREE: Final = tuple(Canary(name, "2", 5.0) for name in "bcd")
ROUTES: Final[dict[str, Route | None]] = {
    "no route": None,
    "one canary, a draw": Route(canaries=(_B,)),
    "one canary, key in a header": Route(canaries=(_B,), sticky=Sticky(header="x-user-id")),
    "one canary, key in an input": Route(canaries=(_B,), sticky=Sticky(input="user")),
    "three canaries, key in a header": Route(canaries=_THREE, sticky=Sticky(header="x-user-id")),
}


class _Nobody:
    def answer(self, _response: InferenceResponse) -> None:
        """Hear nothing."""

    def fail(self, _error: Exception) -> None:
        """Hear nothing."""


def catalog() -> Catalog:
    """Return a catalog with a model for each kind of route."""
    made = Catalog()
    for name, route in ROUTES.items():
        model = made.served(name.replace(" ", "-").replace(",", ""))
        for number in (1, 2):
            version = model.versions[number] = ServedVersion(ModelVersion(model.name, str(number)))
            version.enter(VersionState.WARMING)
            version.enter(VersionState.READY)
        model.aliases["champion"] = 1
        model.split = None if route is None else Split(model.name, route)
    return made


def lease_us(subject: Catalog, model: str) -> float:
    """Return the CPU microseconds of a lease that is taken and given back, each by another caller."""
    user = Tensor("user", DATATYPES["INT64"], np.array([[7]]))
    requests = [InferenceRequest("http", model, "", [user], headers={"x-user-id": f"user-{number}"}) for number in range(_CALLS)]
    tickets = [Ticket(request, _Nobody(), lambda _: None, monotonic) for request in requests]
    return _timed(lambda: [subject.lease(ticket.request, ticket).release() for ticket in tickets]) / _CALLS


def _timed(work: Callable[[], object]) -> float:
    started = thread_time_ns()
    work()
    return (thread_time_ns() - started) / 1000


def main() -> None:
    """Print what each kind of route takes, and what it adds."""
    subject = catalog()
    costs: dict[str, list[float]] = {model.name: [] for model in subject}
    for _ in range(_ROUNDS):
        for model, seen in costs.items():
            seen.append(lease_us(subject, model))
    names = [name.replace(" ", "-").replace(",", "") for name in ROUTES]
    bare = min(costs[names[0]])
    for title, name in zip(ROUTES, names, strict=True):
        print(f"{title:34} {min(costs[name]):6.2f} us  {min(costs[name]) - bare:+6.2f} us")


if __name__ == "__main__":
    main()
