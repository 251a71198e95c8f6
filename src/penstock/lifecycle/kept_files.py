"""Small files that outlive the process: written whole or not at all, bounded in number, and never trusted."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

_MOST_BYTES: Final = 256 * 1024
_LOOK_EVERY: Final = 32
"""Writes: to look which files are too many takes longer the more there are."""
_T = TypeVar("_T")


class KeptFiles(Generic[_T]):
    """JSON files of one kind in one directory. Blocks; several processes may share it, the last writer wins."""

    def __init__(self, directory: Path, kind: type[_T], most: int, most_bytes: int = _MOST_BYTES) -> None:
        """`most` files are kept, and a few more for a while; the oldest go first. A file beyond `most_bytes` is not read."""
        self.directory: Final = directory
        self._most_bytes = most_bytes
        self._kind = kind
        self._most = most
        self._writes = 0

    def read(self, name: str) -> _T | None:
        """Return what a file holds, or None if it is not there.

        Raises `ValueError` with the reason for a file that cannot be used: unreadable, too large, not of this kind.
        """
        try:
            with (self.directory / name).open("rb") as file:
                content = file.read(self._most_bytes + 1)
            if len(content) > self._most_bytes:
                raise ValueError(f"it has more than {self._most_bytes} bytes")
            return msgspec.json.decode(content, type=self._kind)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise ValueError(str(error)) from error

    def write(self, name: str, content: _T, *, durable: bool = False) -> None:
        """Replace a file (mode 0600) by rename: a reader or a crash sees the old or the new one. Raises `OSError`.

        What is `durable` is on the disk when this returns, where it outlives a crash of the machine too.
        """
        path = self.directory / name
        self.directory.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(prefix=f".{name}.", dir=self.directory)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(content), indent=1))
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            Path(draft).replace(path)
            if durable:
                self._sync()
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        if self._writes % _LOOK_EVERY == 0:
            self._forget_oldest()
        self._writes += 1

    def remove(self, name: str) -> None:
        """Remove a file that may be there."""
        (self.directory / name).unlink(missing_ok=True)

    def _sync(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def newest_first(self) -> list[str]:
        """Return the names of the files."""
        return [path.name for path in reversed(self._by_age()) if not path.name.startswith(".")]

    def _forget_oldest(self) -> None:
        for path in self._by_age()[: -self._most]:
            with contextlib.suppress(OSError):  # another process was faster
                path.unlink()

    def _by_age(self) -> list[Path]:
        """Return everything in the directory, drafts of crashed writers too, the oldest first."""
        ages = []
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.directory):
                with contextlib.suppress(OSError):  # it went meanwhile
                    ages.append((entry.stat(follow_symlinks=False).st_mtime_ns, Path(entry.path)))
        return [path for _, path in sorted(ages)]
