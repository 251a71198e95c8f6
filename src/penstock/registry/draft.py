"""A private copy of a version while it is being made."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from penstock.domain.errors import BadArtifact
from penstock.domain.names import shown
from penstock.registry.content import Content
from penstock.registry.digester import Digester
from penstock.registry.durable import sync, write
from penstock.registry.manifest import FileDigest
from penstock.registry.source import SourceFile

FILES: Final = "files"
CONTENT: Final = "content.json"


class Draft:
    """A directory of one process, which holds a lock so that others know it for alive. Not for several threads.

    Whatever cannot be written raises OSError.
    """

    def __init__(self, directory: Path, lock: int) -> None:
        """Take over the descriptor `lock`."""
        self.directory: Final = directory
        self.lock: Final = lock
        self._files: dict[str, FileDigest] = {}

    @property
    def content(self) -> Content:
        """What has been copied so far."""
        return Content(self._files)

    def path(self, name: str) -> Path:
        """Return where the copy of a file is."""
        return self.directory / FILES / name

    def copy(self, file: SourceFile, limit: int | None = None) -> FileDigest:
        """Copy a file of at most `limit` bytes, hashing what is written; returns what it turned out to be.

        Raises `BadArtifact` for a longer file and for other bytes than the source announced, and what the source raises.
        """
        digest = self._write(file.name, _bounded(file, file.size if limit is None else limit))
        if file.size not in (None, digest.size):
            raise BadArtifact(f"the file {shown(file.name)} has {digest.size} bytes, the registry announced {file.size}")
        self._files[file.name] = digest
        return digest

    def finish(self) -> None:
        """Write down what was copied, and see all of it onto the disk."""
        (self.directory / CONTENT).write_bytes(self.content.encode())
        sync(self.directory / CONTENT)
        for folder, _, _ in os.walk(self.directory):
            sync(Path(folder))

    def discard(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.directory, ignore_errors=True)
        os.close(self.lock)

    def _write(self, name: str, pieces: Iterator[bytes]) -> FileDigest:
        digester = Digester()
        write(self.path(name), digester.through(pieces), rights=0o400)
        return digester.found


def _bounded(file: SourceFile, limit: int | None) -> Iterator[bytes]:
    """Yield a file's content, and stop where it grows beyond the limit."""
    size = 0
    for piece in file.chunks():
        size += len(piece)
        if limit is not None and size > limit:
            raise BadArtifact(f"the file {shown(file.name)} has more than {limit} bytes, which is all that it should have")
        yield piece
