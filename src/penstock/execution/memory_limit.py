"""The memory that a control group allows, and how much of it is in use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_ROOT: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")
_UNLIMITED: Final = 1 << 60
"""Version 1 writes a number near 2^63 where nothing is limited."""


class _Names(NamedTuple):
    """The files of one version of control groups."""

    limit: str
    used: str
    spare: str
    """The line of `memory.stat` that tells what the kernel takes back before it kills: files nobody has touched for long."""


_V2: Final = _Names("memory.max", "memory.current", "inactive_file ")
_V1: Final = _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")


class MemoryLimit:
    """The control groups above the process that limit its memory."""

    def __init__(self, root: Path = _ROOT, own: Path = _OWN) -> None:
        self._groups: Final = [(folder, names, limit) for folder, names in _groups(root, own) if (limit := _limit(folder, names))]

    def used_part(self) -> float | None:
        """Return the part in use of what is allowed, of the group that has the least left; None where nothing is limited. Reads files."""
        parts = [_used(folder, names) / limit for folder, names, limit in self._groups]
        return max(parts, default=None)


def _groups(root: Path, own: Path) -> Iterator[tuple[Path, _Names]]:
    """Yield the folders of the process's own group and of those that hold it; in a container the root is its own."""
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        names, top = (_V1, root / "memory") if controllers else (_V2, root)
        folder = top / path.lstrip("/")
        while folder != top:
            yield folder, names
            folder = folder.parent
        yield top, names


def _limit(folder: Path, names: _Names) -> int | None:
    text = _text(folder / names.limit).strip()
    return int(text) if text.isdecimal() and int(text) < _UNLIMITED else None


def _used(folder: Path, names: _Names) -> int:
    text = _text(folder / names.used).strip()
    spare = next((line for line in _text(folder / "memory.stat").splitlines() if line.startswith(names.spare)), "")
    return max(0, int(text or 0) - int(spare.rpartition(" ")[2] or 0))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
