"""What may be the name of a file of a version: a plain path below its directory, whoever tells it."""

from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Final

_MAX_BYTES: Final = 1024
_MAX_PART_BYTES: Final = 255  # of what POSIX systems take between two slashes


def name_problem(name: str) -> str:
    """Return why the name cannot be a file's below the version's directory, "" if it can."""
    parts = name.split("/")
    if not name or name.startswith("/") or "\\" in name or not {"", ".", ".."}.isdisjoint(parts):
        return "is no plain path below the version's directory; '..', '//', backslashes and a leading '/' are refused"
    if not name.isprintable():  # lone surrogates are not printable either, so what follows can encode
        return "holds control characters"
    if len(name.encode()) > _MAX_BYTES or any(len(part.encode()) > _MAX_PART_BYTES for part in parts):
        return f"is longer than {_MAX_BYTES} bytes, or {_MAX_PART_BYTES} between two slashes"
    return ""


def both_file_and_folder(names: Collection[str]) -> str:
    """Return a name that another one uses as its folder, "" if there is none."""
    folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    return min(folders & set(names), default="")
