"""A bucket, or the part of it below a prefix: the one door to `obstore`, with its failures told as ours."""

import contextlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from penstock.registry.source import RegistryUnreachable

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode, UpdateVersion
    from obstore.store import ClientConfig, RetryConfig

SCHEMES: Final = ("s3", "gs", "az")
CHUNK_BYTES: Final = 4 * 1024 * 1024
_PART_BYTES: Final = 8 * 1024 * 1024
_MOST_PARTS: Final = 9_000  # S3 takes 10,000 of one object
_REASON: Final = 300  # characters of what the store says
_CLIENT: Final["ClientConfig"] = {
    # Only an endpoint that the operator names is ever reached without TLS; then that is what was asked for.
    "allow_http": True,
    "connect_timeout": "5s",
    "read_timeout": "60s",
    "timeout": "12h",  # of one file, however large; a connection that falls silent ends by the other two
}
_RETRY: Final["RetryConfig"] = {"max_retries": 4, "retry_timeout": timedelta(seconds=20)}
_BUCKET_GONE: Final = re.compile("NoSuchBucket|ContainerNotFound|bucket does not exist|container does not exist", re.IGNORECASE)
_NO_ANSWER: Final = re.compile("error sending request|connect|timed out|dns error", re.IGNORECASE)
_CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
    "gs": "GOOGLE_SERVICE_ACCOUNT",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_ENDPOINTS: Final = {"s3": "AWS_ENDPOINT_URL", "gs": "GOOGLE_BASE_URL", "az": "AZURE_STORAGE_ENDPOINT"}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as the store lists it."""

    name: str
    """Relative to the registry."""
    size: int
    """Bytes."""
    modified: datetime
    """By the store's clock."""
    tag: str
    """Differs whenever the content does."""


@dataclass(frozen=True, slots=True)
class Content:
    """The whole of a small object, and what a replacement must name."""

    data: bytes
    mark: "UpdateVersion"


class Bucket:
    """The objects below a URI such as s3://bucket/prefix. Every method blocks, and raises `RegistryUnreachable`.

    Credentials, region and endpoint are the usual variables of the environment, which `obstore` reads itself: AWS_*, GOOGLE_*
    and AZURE_*.
    """

    def __init__(self, uri: str) -> None:
        """Connect to nothing yet; raises `RegistryUnreachable` for a URI or settings that can never work."""
        parts = urlsplit(uri)
        if parts.username is not None or not parts.hostname:
            raise RegistryUnreachable(
                f"the registry is not of the form {parts.scheme}://bucket/prefix; credentials come from the environment, never with the URI"
            )
        self.uri: Final = uri
        self._kind: Final = parts.scheme
        try:
            from obstore import store  # noqa: PLC0415 - an extra, and slow to import where it is not needed
        except ImportError as error:
            raise RegistryUnreachable(f"the registry {uri} needs an object store's client: pip install 'penstock[s3]'") from error
        with self._told():
            self._store = store.from_url(uri, client_options=_CLIENT, retry_config=_RETRY)

    def list(self, folder: str = "") -> list[StoredObject]:
        """Return every object below a folder, however deep, sorted by name; what consoles and tools leave to mark a folder is none."""
        with self._told():
            listed = [meta for page in self._store.list(folder or None, chunk_size=1000) for meta in page]
        found = [StoredObject(meta["path"], meta["size"], meta["last_modified"], meta["e_tag"] or meta["version"] or "") for meta in listed]
        found.sort(key=lambda found: found.name)
        names = [each.name for each in found]
        return [each for each in found if each.size or not _is_folder(each.name, names)]

    def find(self, name: str) -> StoredObject | None:
        """Return what the store knows of one object, None if there is none."""
        with self._told(), contextlib.suppress(FileNotFoundError):
            meta = self._store.head(name)
            return StoredObject(name, meta["size"], meta["last_modified"], meta["e_tag"] or meta["version"] or "")
        return None

    def read(self, name: str) -> Content | None:
        """Return a small object, None if there is none."""
        with self._told(), contextlib.suppress(FileNotFoundError):
            answer = self._store.get(name)
            return Content(bytes(answer.bytes()), _mark(answer.meta))
        return None

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield an object's content in pieces of a few MiB; raises FileNotFoundError if it is not there."""
        with self._told():
            for piece in self._store.get(name).stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(piece)

    def create(self, name: str, content: bytes) -> bool:
        """Write an object that is not there yet; returns False if there is one of that name."""
        return self._put(name, content, "create")

    def replace(self, name: str, content: bytes, read: Content | None) -> bool:
        """Write an object in place of what was read; returns False if that is no longer what is there."""
        return self._put(name, content, read.mark if read else "create")

    def _put(self, name: str, content: bytes, mode: "PutMode") -> bool:
        from obstore.exceptions import AlreadyExistsError, NotModifiedError, PreconditionError  # noqa: PLC0415 - as above

        with self._told():
            try:
                self._store.put(name, content, mode=mode)
            except (AlreadyExistsError, PreconditionError, NotModifiedError):
                return False
        return True

    def upload(self, name: str, pieces: Iterable[bytes], size: int) -> None:
        """Write an object of that many bytes from its pieces, in place of whatever is there; nobody sees it before it is whole."""
        content = b"".join(pieces) if size <= _PART_BYTES else pieces
        with self._told():
            self._store.put(name, content, chunk_size=max(_PART_BYTES, size // _MOST_PARTS + 1))

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects, in order; those that are gone already are no error."""
        for name in names:
            with self._told(), contextlib.suppress(FileNotFoundError):
                self._store.delete(name)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what `obstore` raises into what is wrong and what to do; its own texts run over pages."""
        from obstore.exceptions import BaseError  # noqa: PLC0415 - as above

        try:
            yield
        except FileNotFoundError as error:
            if _BUCKET_GONE.search(str(error)):
                raise RegistryUnreachable(self._reason(error)) from error
            raise
        except BaseError as error:
            raise RegistryUnreachable(self._reason(error)) from error

    def _reason(self, error: Exception) -> str:
        text = str(error).partition("\n\nDebug source")[0]
        return f"the registry {self.uri} cannot be reached: {self._cause(error, text)}"

    def _cause(self, error: Exception, text: str) -> str:
        kind: Literal["PermissionDeniedError", "UnauthenticatedError"] | str = type(error).__name__  # noqa: PYI051 - which ones matter
        if _BUCKET_GONE.search(text):
            return "there is no such bucket; create it, or name another one"
        if kind in ("PermissionDeniedError", "UnauthenticatedError") or "403 Forbidden" in text or "401 Unauthorized" in text:
            return f"access is denied; check {_CREDENTIALS[self._kind]}, and what the bucket's policy allows"
        if "169.254.169.254" in text or "metadata.google.internal" in text or "Account must be specified" in text:
            return f"there are no credentials; set {_CREDENTIALS[self._kind]}"
        if _NO_ANSWER.search(text):
            return f"its endpoint does not answer; check {_ENDPOINTS[self._kind]} and the network"
        return " ".join(text.split())[:_REASON]


def _is_folder(name: str, names: Sequence[str]) -> bool:
    """Tell whether an empty object marks a folder: the client takes the slash from the end of its name. `names` are sorted."""
    at = bisect_left(names, f"{name}/")
    return not name or any(below.startswith(f"{name}/") for below in names[at : at + 1])


def _mark(meta: "ObjectMeta") -> "UpdateVersion":
    """Return what tells this state of an object from any other; some stores know it by a tag, some by a version."""
    mark: UpdateVersion = {}
    if tag := meta["e_tag"]:
        mark["e_tag"] = tag
    if version := meta["version"]:
        mark["version"] = version
    return mark
