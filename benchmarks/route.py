"""What a route adds to a prediction: `python benchmarks/route.py`, half a minute; exit code 1 if a bound is missed beyond the noise.

CPU time of the lease alone, in rounds in which all kinds of routes take turns with a model without one. Whatever else the machine does
only ever adds time, so the least of some rounds is one measurement; there are several, which tell how sure the figure is. The bound is
1.5 us for one canary; a model without a route pays nothing.
"""

import sys
from collections.abc import Callable
from time import thread_time_ns
from typing import Final

import numpy as np
from bound import Bound, judge

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

_CALLS: Final = 500
_ROUNDS: Final = 80
_MEASUREMENTS: Final = 7
_LIMIT_US: Final = 1.5
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
        model = made.served(_name(name))
        for number in (1, 2):
            version = model.versions[number] = ServedVersion(ModelVersion(model.name, str(number)))
            version.enter(VersionState.WARMING)
            version.enter(VersionState.READY)
        model.aliases["champion"] = 1
        model.split = None if route is None else Split(model.name, route)
    return made


def lease_us(subject: Catalog, model: str) -> float:
    """Return the CPU microseconds of a lease that is taken and given back, each by another caller."""
    users = [Tensor("user", DATATYPES["INT64"], np.array([[number]])) for number in range(_CALLS)]
    requests = [InferenceRequest("http", model, "", [user], headers={"x-user-id": f"user-{n}"}) for n, user in enumerate(users)]
    tickets = [Ticket(request, _Nobody(), lambda _: None, monotonic) for request in requests]
    return _timed(lambda: [subject.lease(ticket.request, ticket).release() for ticket in tickets]) / _CALLS


def _timed(work: Callable[[], object]) -> float:
    started = thread_time_ns()
    work()
    return (thread_time_ns() - started) / 1000


def least_us(subject: Catalog) -> dict[str, float]:
    """Return by model what a lease takes: the least of rounds in turns."""
    rounds = [{model.name: lease_us(subject, model.name) for model in subject} for _ in range(_ROUNDS)]
    return {model.name: min(costs[model.name] for costs in rounds) for model in subject}


def main() -> int:
    """Print what each kind of route adds, beside its bound where it has one."""
    subject = catalog()
    measured = [least_us(subject) for _ in range(_MEASUREMENTS)]
    bare, *names = map(_name, ROUTES)
    print(f"a lease without a route: {min(costs[bare] for costs in measured):.2f} us; CPU time that a route adds to it:")
    added = {name: [costs[name] - costs[bare] for costs in measured] for name in names}
    *ones, three = [title for title in ROUTES if title != next(iter(ROUTES))]
    code = judge(Bound(title, added[_name(title)], _LIMIT_US, " us") for title in ones)
    print(f"{three}: {min(added[_name(three)]):.3f} us")
    return code


def _name(title: str) -> str:
    return title.replace(" ", "-").replace(",", "")


if __name__ == "__main__":
    sys.exit(main())
