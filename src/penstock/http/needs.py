"""What a caller needs for each route of a keyed server. What is not listed here needs the most."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from penstock.domain.caller import EVERY, Action

_PREDICTIONS: Final = ("/infer", ":predict", "/feedback")
_MANAGEMENT: Final = ("/admin/", "/v2/repository/models/")
_READS: Final = frozenset({"GET", "HEAD"})
_READ_BY_POST: Final = (
    "/v2/repository/index",
    "/v2/repository/{repository}/index",
    "/v2/trace/setting",
    "/v2/models/{model}/trace/setting",
)
_REGIONS: Final = ("/v2/systemsharedmemory/", "/v2/cudasharedmemory/")
_OF_NO_MODEL: Final = ("/v2", "/v2/", "/v2/logging", "/v2/trace/setting", "/docs", "/openapi.json")
_PAGES: Final = ("/docs/", "/admin/assets/", *_REGIONS)


class Need(NamedTuple):
    """What a caller must be allowed to do, and to which model: see `Caller.require`."""

    action: Action
    model: str


def need_of(template: str, method: str, parameters: Mapping[str, str]) -> Need:
    """Return what a call of the route with that template needs."""
    return Need(_action(template, method), _model(template, parameters))


def _action(template: str, method: str) -> Action:
    if template.startswith(_MANAGEMENT):
        return Action.MANAGE
    if template.endswith(_PREDICTIONS):
        return Action.PREDICT
    reads = method in _READS or template in _READ_BY_POST or template.startswith(_REGIONS)
    return Action.READ if reads else Action.MANAGE


def _model(template: str, parameters: Mapping[str, str]) -> str:
    model = parameters.get("model")
    if model is not None:
        return model
    return "" if template in _OF_NO_MODEL or template.startswith(_PAGES) else EVERY
