"""Routes that outlive the process."""

import logging
from pathlib import Path
from typing import Final, Literal

import msgspec

from penstock.domain.route import Route
from penstock.lifecycle.kept_files import KeptFiles

_log = logging.getLogger(__name__)
_MOST: Final = 4096

Origin = Literal["file", "admin", "rollout"]
"""Who made a route: the settings, somebody with the token, a rollout."""


class KeptRoute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of one model's route."""

    route: Route | None
    """None for a model whose route was taken away."""
    revision: int
    origin: Origin
    of_file: Route | None = None
    """The settings' own route when it was last applied: another one there wins again."""
    previous: str = ""
    """The number of the stable version before the last promotion, "" before the first."""


class RouteStore:
    """The files `<state directory>/routes/<model>.json`. Blocks."""

    def __init__(self, state_dir: Path) -> None:
        self._files = KeptFiles(state_dir / "routes", KeptRoute, _MOST)

    def read(self, model: str) -> KeptRoute | None:
        """Return what was kept of a model's route; None, and a warning, for a file that cannot be used."""
        try:
            return self._files.read(f"{model}.json")
        except ValueError as error:
            _log.warning("the kept route of %s is ignored: %s", model, error)
            return None

    def keep(self, model: str, kept: KeptRoute) -> None:
        """Replace the file durably; raises `OSError`."""
        self._files.write(f"{model}.json", kept, durable=True)
