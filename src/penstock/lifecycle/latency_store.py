"""Latency tables of versions, kept from one start of the server to the next."""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final, Self

import msgspec

from penstock.lifecycle.conditions import Conditions
from penstock.lifecycle.kept_files import KeptFiles

_log = logging.getLogger(__name__)
_MOST_FILES: Final = 256
_CAUTION: Final = 1.5
"""How much slower than its predecessor a version is taken to be where nothing of its own was measured."""

_Positive = Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class MeasuredTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a version's speed on one device."""

    idle_ns: dict[_Positive, _Positive]
    """What warm-up runs took with nothing beside them, by rows."""
    served: list[tuple[_Positive, _Positive, _Count]]
    """What runs took while serving: rows, median nanoseconds, how many were remembered."""

    @classmethod
    def of(cls, idle_ns: Mapping[int, int], table: Iterable[tuple[int, int, int]]) -> Self:
        """Return the table of a version that was warmed and has served."""
        return cls({rows: max(1, ns) for rows, ns in idle_ns.items()}, [(rows, max(1, ns), runs) for rows, ns, runs in table])

    @property
    def prior_ns(self) -> dict[int, int]:
        """What to expect of a run, by rows."""
        return {rows: ns for rows, ns, _ in self.served}

    def slower(self) -> Self:
        """Return the table as it is taken for a version that is alike, but not the same."""
        idle_ns = {rows: int(ns * _CAUTION) for rows, ns in self.idle_ns.items()}
        return type(self)(idle_ns, [(rows, int(ns * _CAUTION), 0) for rows, ns, _ in self.served])


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file."""

    conditions: Conditions
    table: MeasuredTable


class LatencyStore:
    """The tables in `<state directory>/latency`. Blocks; never raises: what cannot be read or written is measured again."""

    def __init__(self, state_dir: Path) -> None:
        self._files: KeptFiles[_Entry] = KeptFiles(state_dir / "latency", _Entry, _MOST_FILES)

    def find(self, conditions: Conditions) -> MeasuredTable | None:
        """Return the table measured under just these conditions, or None."""
        entry = self._read(_name(conditions))
        return entry.table if entry is not None and entry.conditions == conditions else None

    def predecessor(self, conditions: Conditions) -> MeasuredTable | None:
        """Return, slowed down, the newest table of another version of the model whose shapes and conditions agree."""
        for name in self._files.newest_first():
            entry = self._read(name)
            if entry is not None and msgspec.structs.replace(entry.conditions, digest=conditions.digest) == conditions:
                return entry.table.slower()
        return None

    def keep(self, conditions: Conditions, table: MeasuredTable) -> None:
        """Keep a table for the next start."""
        try:
            self._files.write(_name(conditions), _Entry(conditions, table))
        except OSError as error:
            _log.warning("the latency table of %s could not be kept: %s", conditions.model, error)

    def _read(self, name: str) -> _Entry | None:
        try:
            return self._files.read(name)
        except ValueError as error:
            _log.debug("the latency table %s is ignored: %s", name, error)
            return None


def _name(conditions: Conditions) -> str:
    return f"{hashlib.sha256(msgspec.json.encode(conditions)).hexdigest()[:32]}.json"
