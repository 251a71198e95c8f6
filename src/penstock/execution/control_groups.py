"""The control groups that the process is in: what they allow all that is in them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path("/sys/fs/cgroup")
OWN: Final = Path("/proc/self/cgroup")


def control_groups(controller: str, root: Path = ROOT, own: Path = OWN) -> Iterator[tuple[int, Path]]:
    """Yield version and folder of the process's own group of a controller and of those that hold it; in a container the root is its own."""
    for line in text_of(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        version, top = (1, root / controller) if controllers else (2, root)
        folder = top / path.lstrip("/")
        while folder != top:
            yield version, folder
            folder = folder.parent
        yield version, top


def text_of(file: Path) -> str:
    """Return what a file of a group says; nothing where it is not there."""
    try:
        return file.read_text()
    except OSError:
        return ""
