"""What a private copy of a version holds."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from penstock.registry.manifest import FileDigest


@dataclass(frozen=True, slots=True)
class Content:
    """The files of a copy by name, with what each of them must be."""

    files: Mapping[str, FileDigest]

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())

    @property
    def digest(self) -> str:
        """sha256 of `encode`, in hexadecimal digits: it pins every name, size and digest."""
        return hashlib.sha256(self.encode()).hexdigest()

    def encode(self) -> bytes:
        """Return the one text for these files."""
        return msgspec.json.encode(Content(dict(sorted(self.files.items()))))

    @classmethod
    def decode(cls, text: bytes, digest: str) -> "Content":
        """Return what a text says; raises ValueError if it is not the text of that digest."""
        if hashlib.sha256(text).hexdigest() != digest:
            raise ValueError("the list of the copy's files is damaged")
        return msgspec.json.decode(text, type=cls)

    def damage(self, directory: Path) -> str:
        """Return the name of a file in the directory that is not as it must be, "" if all are; reads every byte."""
        return next((name for name, entry in self.files.items() if not _is_intact(directory / name, entry)), "")


def _is_intact(path: Path, entry: FileDigest) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
    except OSError:
        return False
