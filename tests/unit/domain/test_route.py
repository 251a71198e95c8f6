"""What makes sense in a route."""

import msgspec
import pytest

from penstock.domain.route import Canary, Route, Shadow, Sticky, branch_of, route_problems

GOOD = Route(
    stable="1",
    canaries=(Canary("b", "challenger", 33.33), Canary("c-2", "3", 0.01), Canary("d", "4", 66.66)),
    shadows=(Shadow("7", 0.1), Shadow("8")),
    sticky=Sticky(header="x-user-id"),
    override=True,
)


def test_route_that_makes_sense_has_no_problems() -> None:
    """Weights may fill the whole, whatever floats make of their sum."""
    assert list(route_problems(GOOD)) == []
    assert list(route_problems(Route())) == []


def test_route_travels_as_json_and_back() -> None:
    """As it is kept and as it is sent."""
    assert msgspec.json.decode(msgspec.json.encode(GOOD), type=Route) == GOOD


def test_versions_are_named_once_each() -> None:
    """However often a route names them."""
    route = Route(stable="1", canaries=(Canary("a", "1", 5), Canary("b", "2", 5)), shadows=(Shadow("2"), Shadow("3")))
    assert route.versions == ("1", "2", "3")


@pytest.mark.parametrize(
    ("route", "said"),
    [
        pytest.param(Route(stable="latest"), "the version 'latest' is neither a number nor an alias", id="reserved-alias"),
        pytest.param(Route(canaries=(Canary("pinned", "2", 1),)), "cannot be called 'pinned'", id="pinned"),
        pytest.param(Route(canaries=(Canary("shadow", "2", 1),)), "cannot be called 'shadow'", id="shadow"),
        pytest.param(Route(canaries=(Canary("", "2", 1),)), "the canary's name '' is not valid", id="no-name"),
        pytest.param(Route(canaries=(Canary("b\n", "2", 1),)), r"the canary's name 'b\n' is not valid", id="line-break"),
        pytest.param(Route(canaries=(Canary("b", "2", float("nan")),)), "must be a percentage", id="nan"),
        pytest.param(Route(canaries=(Canary("b", "2", -0.01),)), "is -0.01; it must be a percentage", id="negative"),
        pytest.param(Route(canaries=(Canary("b", "2", 0.001),)), "may have two decimals", id="thousandths"),
        pytest.param(Route(canaries=(Canary("b", "2", 50), Canary("c", "2", 50.01))), "add up to 100.01 %", id="too-much"),
        pytest.param(Route(canaries=tuple(Canary(f"c{n}", "2", 1) for n in range(33))), "33 canaries and shadows; 32 are", id="many"),
        pytest.param(Route(shadows=(Shadow("2"), Shadow("2"))), "2 shadows are version '2'; one is enough", id="shadow-twice"),
        pytest.param(Route(shadows=(Shadow("2", -0.1),)), "must be a share from 0 to 1", id="sample"),
        pytest.param(Route(sticky=Sticky(header="naïve")), "cannot be the name of a header", id="header"),
    ],
)
def test_nonsense_is_told_with_what_was_seen(route: Route, said: str) -> None:
    """One problem here, one sentence."""
    (problem,) = route_problems(route)
    assert said in problem


@pytest.mark.parametrize(("arm", "branch"), [("stable", "stable"), ("pinned", "stable"), ("b", "canary"), ("canary", "canary"), ("", "")])
def test_labels_are_few_whatever_canaries_are_called(arm: str, branch: str) -> None:
    """A name that people choose is no label of a metric."""
    assert branch_of(arm) == branch
