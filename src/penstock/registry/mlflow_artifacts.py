"""Where MLflow keeps the files of a version: behind its own server, on a disk, or in an object store."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote, unquote, urlsplit

import msgspec

from penstock.domain.errors import BadArtifact
from penstock.domain.names import shown
from penstock.registry.file_name import name_problem
from penstock.registry.mlflow_client import MlflowClient
from penstock.registry.object_store_bucket import Bucket
from penstock.registry.plain_files import files_below, open_plain_file, plain_folder

_PROXY: Final = "/api/2.0/mlflow-artifacts/artifacts"
_MAX_FILES: Final = 1000
_MAX_FOLDERS: Final = 50
_CHUNK_BYTES: Final = 1024 * 1024
_BUCKETS: Final = ("s3", "gs", "az")
_AZURE: Final = ("abfss", "abfs", "wasbs", "wasb")


class ArtifactFile(NamedTuple):
    """One file below the version's folder."""

    name: str
    """A plain relative path."""
    size: int | None
    """Bytes, where that is told."""


class Artifacts(Protocol):
    """The folder of one version. Its methods block, and raise `RegistryUnreachable` or `BadArtifact`."""

    def files(self) -> Sequence[ArtifactFile]:
        """Return every file, however deep."""

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the content of a file."""


def artifacts_at(location: str, client: MlflowClient) -> Artifacts:
    """Return the folder that a location of MLflow's names; raises `BadArtifact` for one that is not read."""
    parts = urlsplit(location)
    if parts.scheme == "mlflow-artifacts":
        return ProxiedArtifacts(client.elsewhere(parts.netloc) if parts.netloc else client, parts.path.strip("/"))
    if parts.scheme in ("", "file") and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return LocalArtifacts(Path(unquote(parts.path) if parts.scheme else location))
    if parts.scheme in _BUCKETS:
        return BucketArtifacts(location)
    if parts.scheme in _AZURE:  # container@account; the account is one of the credentials
        return BucketArtifacts(f"az://{parts.netloc.partition('@')[0]}{parts.path}")
    raise BadArtifact(
        f"the files lie at a location of the kind {shown(parts.scheme)}, which is not read; "
        "let MLflow serve its artifacts, or keep them in S3, GCS or Azure"
    )


class _Entry(msgspec.Struct):
    path: str
    is_dir: bool = False
    file_size: int | None = None


class _Entries(msgspec.Struct):
    files: list[_Entry] = []


class ProxiedArtifacts:
    """A folder behind MLflow's own server."""

    def __init__(self, client: MlflowClient, root: str) -> None:
        """`root` is the folder's path below all artifacts; raises `BadArtifact` for one that leaves them."""
        self._client = client
        self._root = _plain(root)

    def files(self) -> list[ArtifactFile]:
        """Return every file; one call for each folder."""
        found: list[ArtifactFile] = []
        folders = [""]
        for _ in range(_MAX_FOLDERS):
            entries = list(self._entries(folders.pop()))
            folders += [f"{entry.path}/" for entry in entries if entry.is_dir]
            found += [ArtifactFile(entry.path, entry.file_size) for entry in entries if not entry.is_dir]
            if not folders:
                return _bounded(found)
        raise BadArtifact(f"the version has more than {_MAX_FOLDERS} folders; log the ONNX model alone")

    def _entries(self, folder: str) -> Iterator[_Entry]:
        """Yield what is in a folder ("" or a path with a slash at its end), by paths below the version's."""
        path = f"{self._root}/{folder}".rstrip("/")
        for entry in self._client.ask(_PROXY, _Entries, {"path": path}).files:
            yield _Entry(folder + _plain(entry.path), entry.is_dir, entry.file_size)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the content of a file."""
        return self._client.chunks(f"{_PROXY}/{quote(f'{self._root}/{name}')}")


class LocalArtifacts:
    """A folder on a disk that this machine sees too."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def files(self) -> list[ArtifactFile]:
        """Return every file; a link among them is refused when it is read."""
        try:
            with plain_folder(self._root) as folder:
                return _bounded([ArtifactFile(_plain(found.name), found.status.st_size) for found in files_below(folder)])
        except FileNotFoundError as error:
            raise BadArtifact(
                "the files lie on a disk that this machine does not see; mount it, or let MLflow serve its artifacts (--serve-artifacts)"
            ) from error
        except (OSError, ValueError) as error:
            raise _unreadable("the folder", error) from error

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the content of a file."""
        try:
            with os.fdopen(open_plain_file(self._root, name.split("/")), "rb") as file:
                while piece := file.read(_CHUNK_BYTES):
                    yield piece
        except (OSError, ValueError) as error:
            raise _unreadable(f"the file {shown(name)}", error) from error


class BucketArtifacts:
    """A folder in an object store."""

    def __init__(self, uri: str) -> None:
        self._bucket = Bucket(uri)

    def files(self) -> list[ArtifactFile]:
        """Return every object below the folder."""
        return _bounded([ArtifactFile(_plain(found.name), found.size) for found in self._bucket.list()])

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the content of an object."""
        try:
            yield from self._bucket.chunks(name)
        except FileNotFoundError as error:
            raise BadArtifact(f"the file {shown(name)} has gone from the object store; log the model again") from error


def _plain(path: str) -> str:
    """Return a path that a server tells, if it leads nowhere but down."""
    if problem := name_problem(path):
        raise BadArtifact(f"MLflow tells of the file {shown(path)}, which {problem}")
    return path


def _bounded(found: list[ArtifactFile]) -> list[ArtifactFile]:
    if len(found) > _MAX_FILES:
        raise BadArtifact(f"the version has more than {_MAX_FILES} files; log the ONNX model alone")
    return found


def _unreadable(what: str, error: OSError | ValueError) -> BadArtifact:
    """Tell what is wrong without the path that the text of an OSError holds."""
    return BadArtifact(f"{what} cannot be read: {error.strerror if isinstance(error, OSError) else error}")
