"""A registry in an object store, in the directory's layout: `<model>/<version>/model.onnx`.

A folder does not exist there and nothing is ever half written, but the objects of a version come one by one. So a version
without a manifest, which is written last, does not exist here.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from penstock.domain.errors import BadArtifact, NotFound
from penstock.domain.names import is_model_name, is_version_number
from penstock.registry.aliases import ALIASES, CANNOT_CHANGE, aliases_text, known_aliases, moved
from penstock.registry.manifest import MANIFEST
from penstock.registry.model_folder import MAX_SETTINGS_BYTES, SETTINGS, TRITON, listing_of
from penstock.registry.object_store_bucket import Bucket, Content, StoredObject
from penstock.registry.source import Fingerprint, ModelListing, RegistryUnreachable, Snapshot, SourceFile, VersionListing

CLAIM: Final = ".claim"
"""What a publisher writes first below a number, so that no other one takes it; never part of a version."""
_READERS: Final = 16
_TRIES: Final = 20


@dataclass(slots=True)
class ObjectFile:
    """One object of a version."""

    bucket: Bucket
    key: str
    name: str
    size: int | None

    def chunks(self) -> Iterator[bytes]:
        """Yield the content in pieces of a few MiB; raises `RegistryUnreachable`, or `BadArtifact` if the object is gone."""
        try:
            yield from self.bucket.chunks(self.key)
        except FileNotFoundError as error:
            raise BadArtifact(f"the file {self.name!r} has gone from the registry; publish the version again") from error


class _Text(NamedTuple):
    """A small file that was read, and the tag that it was listed with."""

    tag: str
    data: bytes


class _ObjectFolder:
    """The objects of one model, as a folder."""

    def __init__(self, name: str, objects: Iterable[StoredObject], read: Callable[[StoredObject], str]) -> None:
        self.name: Final = name
        self._objects = {found.name.removeprefix(f"{name}/"): found for found in objects}
        self._below: defaultdict[str, list[tuple[str, StoredObject]]] = defaultdict(list)
        for key, found in self._objects.items():
            folder, slash, below = key.partition("/")
            if slash:
                self._below[folder].append((below, found))
        self._read = read

    def small_files(self) -> list[StoredObject]:
        """Return the files that `listing_of` reads in any case, as far as they are there and small."""
        names = (TRITON, SETTINGS, ALIASES, *(f"{folder}/{SETTINGS}" for folder in self.folders()))
        found = (self._objects[name] for name in names if name in self._objects)
        return [small for small in found if small.size <= MAX_SETTINGS_BYTES]

    def text(self, name: str) -> str:
        """Return a small file, "" if there is none; raises ValueError, `RegistryUnreachable`."""
        found = self._objects.get(name)
        return self._read(found) if found else ""

    def folders(self) -> list[str]:
        """Return what is below the model, without the numbers that have no manifest."""
        return [name for name in self._all() if not is_version_number(name) or f"{name}/{MANIFEST}" in self._objects]

    def foreign(self) -> list[str]:
        """Return the numbers that somebody copied files to: they have neither a manifest nor a publisher."""
        numbers = (name for name in self._all() if is_version_number(name))
        return [name for name in numbers if not {f"{name}/{MANIFEST}", f"{name}/{CLAIM}"} & self._objects.keys()]

    def _all(self) -> list[str]:
        return sorted(self._below)

    def fingerprint(self, name: str) -> Fingerprint:
        """Return the stamps of one file, or of all files below a folder of the model."""
        if name in self._objects:
            return (_stamp(name, self._objects[name]),)
        return tuple([_stamp(below, found) for below, found in self._below.get(name, ())])


def _stamp(name: str, found: StoredObject) -> tuple[str, int, int]:
    """Return what changes with the object: its tag, as a number, since the store's clock counts whole seconds."""
    return name, found.size, int.from_bytes(hashlib.sha256(found.tag.encode()).digest()[:7])


class ObjectStoreSource:
    """Models below a URI such as s3://bucket/prefix. A look costs one listing, and one read for each small file that changed."""

    def __init__(self, uri: str) -> None:
        """Connect to nothing yet; raises `RegistryUnreachable` for a URI that can never work."""
        self.uri: Final = uri
        self.bucket: Final = Bucket(uri)
        self._texts: dict[str, _Text] = {}

    def snapshot(self) -> Snapshot:
        """Return what is there now; raises `RegistryUnreachable`."""
        models: defaultdict[str, list[StoredObject]] = defaultdict(list)
        for found in self.bucket.list():
            model, slash, _ = found.name.partition("/")
            if slash and not model.startswith("."):
                models[model].append(found)
        ignored = [f"{name!r}: not a valid model name" for name in sorted(models) if not is_model_name(name)]
        folders = [_ObjectFolder(name, objects, self._text) for name, objects in sorted(models.items()) if is_model_name(name)]
        self._refresh([small for folder in folders for small in folder.small_files()])
        ignored += [f"{folder.name}/{number}: it has no {MANIFEST}; publish its files" for folder in folders for number in folder.foreign()]
        return Snapshot({folder.name: listing_of(folder, ignored) for folder in folders}, tuple(ignored))

    def _refresh(self, small: Sequence[StoredObject]) -> None:
        """Read the small files that are new or have changed since the last look, many at a time, and forget the others."""
        tags = {found.name: found.tag for found in small}
        self._texts = {name: text for name, text in self._texts.items() if tags.get(name) == text.tag}
        unread = [found for found in small if found.name not in self._texts]
        if unread:
            with ThreadPoolExecutor(_READERS) as pool:
                list(pool.map(self._text, unread))

    def _text(self, found: StoredObject) -> str:
        """Return a small file as it was listed or later; raises ValueError for one that is none, `RegistryUnreachable`."""
        name = found.name.rpartition("/")[2]
        if found.size > MAX_SETTINGS_BYTES:
            raise ValueError(f"{name} is larger than {MAX_SETTINGS_BYTES} bytes")
        if found.name not in self._texts:
            content = self.bucket.read(found.name)
            self._texts[found.name] = _Text(found.tag, content.data if content else b"")
        return self._texts[found.name].data.decode()

    def files(self, model: ModelListing, version: VersionListing) -> Sequence[SourceFile]:
        """Return every file of a version, its manifest included; raises `RegistryUnreachable`, or `BadArtifact` if it is gone."""
        folder = f"{model.name}/{version.number}"
        listed = ((found, found.name.removeprefix(f"{folder}/")) for found in self.bucket.list(folder))
        files = [ObjectFile(self.bucket, found.name, name, found.size) for found, name in listed if name != CLAIM]
        if not any(file.name == MANIFEST for file in files):
            raise BadArtifact(f"version {version.number} of {model.name!r} is no longer in the registry")
        return files

    def set_alias(self, model: str, alias: str, number: int | None) -> None:
        """Move an alias, or remove it with None; two who move aliases at once both succeed.

        Raises `RegistryUnreachable`, or `NotFound` for a model or version that is not there.
        """
        self._check_there(model, number)
        for _ in range(_TRIES):
            read = self.bucket.read(f"{model}/{ALIASES}")
            before = known_aliases(partial(_content, read), CANNOT_CHANGE)
            after = moved(before, alias, number)
            if after == before or self.bucket.replace(f"{model}/{ALIASES}", aliases_text(after).encode(), read):
                return
        raise RegistryUnreachable(f"{ALIASES} of {model!r} in {self.uri} is being changed by others all the time; try again")

    def _check_there(self, model: str, number: int | None) -> None:
        if number is not None and self.bucket.find(f"{model}/{number}/{MANIFEST}") is None:
            raise NotFound(f"model {model!r} has no version {number} in the registry; an alias names a version that is there")


def _content(read: Content | None) -> bytes:
    return read.data if read else b""
