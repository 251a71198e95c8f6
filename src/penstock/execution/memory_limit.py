"""The memory that a control group allows, and how much of it is in use."""

from pathlib import Path
from typing import Final, NamedTuple

from penstock.execution.control_groups import OWN, ROOT, control_groups, text_of

_UNLIMITED: Final = 1 << 60
"""Version 1 writes a number near 2^63 where nothing is limited."""


class _Names(NamedTuple):
    """The files of one version of control groups."""

    limit: str
    used: str
    spare: str
    """The line of `memory.stat` that tells what the kernel takes back before it kills: files nobody has touched for long."""


_NAMES: Final = {
    1: _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "),
    2: _Names("memory.max", "memory.current", "inactive_file "),
}


class MemoryLimit:
    """The control groups above the process that limit its memory."""

    def __init__(self, root: Path = ROOT, own: Path = OWN) -> None:
        groups = [(folder, _NAMES[version]) for version, folder in control_groups("memory", root, own)]
        self._groups: Final = [(folder, names, limit) for folder, names in groups if (limit := _limit(folder, names))]

    @property
    def least_bytes(self) -> int | None:
        """The least that one of them allows; None where nothing is limited."""
        return min([limit for _, _, limit in self._groups], default=None)

    def used_part(self) -> float | None:
        """Return the part in use of what is allowed, of the group that has the least left; None where nothing is limited. Reads files."""
        parts = [_used(folder, names) / limit for folder, names, limit in self._groups]
        return max(parts, default=None)


def _limit(folder: Path, names: _Names) -> int | None:
    text = text_of(folder / names.limit).strip()
    return int(text) if text.isdecimal() and int(text) < _UNLIMITED else None


def _used(folder: Path, names: _Names) -> int:
    text = text_of(folder / names.used).strip()
    spare = next((line for line in text_of(folder / "memory.stat").splitlines() if line.startswith(names.spare)), "")
    return max(0, int(text or 0) - int(spare.rpartition(" ")[2] or 0))
