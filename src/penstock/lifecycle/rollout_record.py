"""What is kept of a rollout from one look to the next, and from one start of the server to the next."""

import logging
import time
from pathlib import Path
from typing import Final

import msgspec

from penstock.domain.names import is_model_name
from penstock.domain.route import Route
from penstock.lifecycle.kept_files import KeptFiles
from penstock.traffic.gate_verdict import GateVerdict
from penstock.traffic.rollout import Action, State

_log = logging.getLogger(__name__)
_MOST_FILES: Final = 1024


def now_s() -> float:
    """Return seconds since the epoch, as people are shown them."""
    return time.time()  # noqa: TID251 - shown to people


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One rollout: the model's running one, or its last."""

    model: str
    state: State
    arm: str
    """The canary's name in the route."""
    version: str
    """The number that the canary had at the start; a rollout never changes what it judges."""
    stable: str
    """The number that the stable arm had at the start."""
    base: Route
    """The route without the canary."""
    keeps_route: bool = True
    """Whether `base` stays when the rollout goes back; otherwise the model has no route again, as before."""
    put: Route | None = None
    """The route that the rollout put last."""
    started: float = msgspec.field(default_factory=now_s)
    """Seconds since the epoch, as all times here."""
    changed: float = msgspec.field(default_factory=now_s)
    """When the phase or the step was entered."""
    judged_since: float = msgspec.field(default_factory=now_s)
    """Since when the numbers of the gates count: the start, or a later start of the server."""
    pending: Action | None = None
    """What has been decided and not been done yet."""
    verdicts: tuple[GateVerdict, ...] = ()
    """The last words of the gates, once it is over."""


class RolloutStore:
    """The records in `<state directory>/rollouts/<model>.json`. Blocks."""

    def __init__(self, state_dir: Path) -> None:
        self.directory: Final = state_dir / "rollouts"
        self._files: KeptFiles[Record] = KeptFiles(self.directory, Record, _MOST_FILES)

    def keep(self, record: Record) -> bool:
        """Replace a model's record, so that not even a crash of the machine loses it; returns whether that could be done, never raises."""
        try:
            self._files.write(f"{record.model}.json", record, durable=True)
        except OSError as error:
            _log.error("the rollout of %s could not be kept, a restart would not find it: %s", record.model, error)
            return False
        return True

    def forget(self, model: str) -> None:
        """Remove a model's record: its rollout has not begun."""
        self._files.remove(f"{model}.json")

    def all(self) -> list[Record]:
        """Return every record that can be read."""
        return [record for name in self._files.newest_first() if (record := self._read(name)) is not None]

    def _read(self, name: str) -> Record | None:
        try:
            record = self._files.read(name)
        except ValueError as error:
            _log.error("the rollout %s is not resumed, it cannot be read: %s", name, error)
            return None
        return record if record is not None and is_model_name(record.model) and name == f"{record.model}.json" else None
