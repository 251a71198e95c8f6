"""Publishing into an object store: a number is claimed, the files are uploaded, and the manifest is created last."""

import contextlib
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from penstock.domain.names import is_version_number
from penstock.registry.aliases import ALIASES
from penstock.registry.candidate import Candidate, Progress
from penstock.registry.manifest import MANIFEST
from penstock.registry.model_folder import TRITON
from penstock.registry.object_store import CLAIM
from penstock.registry.object_store_bucket import Bucket, StoredObject
from penstock.registry.publisher import Last, missing_version, refuse_named, refuse_other_config
from penstock.registry.source import RegistryUnreachable

_GIVES_UP_S: Final = 12 * 3600.0
_ABANDONED: Final = timedelta(hours=24)
"""After so long a claim's publisher is taken for dead. It gives up in half that time, so that nobody removes what it still writes."""


class ObjectStorePublisher:
    """Writes into a bucket, which readers may list all the while."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def place(self, model: str, candidate: Candidate, last: Last, progress: Progress) -> int:
        """Write the next version; see `Publisher.place`."""
        began = _now_s()
        number = self._claim(model)
        prefix = f"{model}/{number}"
        small = last(number)
        try:
            for name in candidate.files:
                self._bucket.upload(f"{prefix}/{name}", candidate.chunks(name, progress), candidate.digests[name].size)
            for name in small.keys() - {MANIFEST}:
                self._bucket.upload(f"{prefix}/{name}", [small[name]], len(small[name]))
            self._check_whole(prefix, candidate)
            self._bring(model, candidate.config)
            _check_time(began)
        except BaseException:
            self._give_up(prefix, [*candidate.files, *(small.keys() - {MANIFEST})])
            raise
        self._finish(f"{prefix}/{MANIFEST}", small[MANIFEST])
        return number

    def replace(self, model: str, number: int, name: str, content: bytes) -> None:
        """Write one small file of a version at once."""
        self._bucket.upload(f"{model}/{number}/{name}", [content], len(content))

    def config(self, model: str) -> bytes | None:
        """Return what the versions share; see `Publisher.config`."""
        if read := self._bucket.read(f"{model}/{TRITON}"):
            return read.data
        return b"" if any(found.name.endswith(f"/{MANIFEST}") for found in self._bucket.list(model)) else None

    def _bring(self, model: str, config: str) -> None:
        """Write the config.pbtxt of a first version, in place of none; raises `LoadRefused` where there is another one."""
        if not config:
            return
        there = self.config(model)
        if there is None and not self._bucket.create(f"{model}/{TRITON}", config.encode()):
            there = self.config(model)  # somebody else was quicker
        refuse_other_config(model, config, there)

    def delete(self, model: str, number: int) -> None:
        """Remove a version; see `Publisher.delete`. Its claim stays, and keeps the number."""
        prefix = f"{model}/{number}"
        manifest = self._bucket.read(f"{prefix}/{MANIFEST}")
        if manifest is None:
            raise missing_version(model, number)
        names = [found.name for found in self._bucket.list(prefix)]
        refuse_named(model, number, lambda: self._aliases(model))
        self._bucket.create(f"{prefix}/{CLAIM}", b"")
        self._bucket.delete([f"{prefix}/{MANIFEST}"])  # from here on there is no such version
        try:
            refuse_named(model, number, lambda: self._aliases(model))  # one may have been moved here meanwhile
        except Exception:
            self._bucket.create(f"{prefix}/{MANIFEST}", manifest.data)
            raise
        self._bucket.delete(name for name in names if name != f"{prefix}/{CLAIM}")

    def _claim(self, model: str) -> int:
        """Take the first number after all that any version has or had, and remove what dead publishers left."""
        objects = self._bucket.list(model)
        number = 1 + max((_number(model, found) for found in objects), default=0)
        while not self._bucket.create(f"{model}/{number}/{CLAIM}", b""):
            number += 1
        self._tidy(model, number, objects)
        return number

    def _tidy(self, model: str, claimed: int, objects: Iterable[StoredObject]) -> None:
        """Remove the files of old claims without a manifest, by the store's clock; the claims stay, for their numbers are used."""
        versions: dict[int, list[StoredObject]] = {}
        for found in objects:
            versions.setdefault(_number(model, found), []).append(found)
        unfinished = [found for number, found in versions.items() if _is_unfinished(f"{model}/{number}", found)]
        own = self._bucket.find(f"{model}/{claimed}/{CLAIM}") if unfinished else None
        for version in unfinished:
            if own and own.modified - max(found.modified for found in version) > _ABANDONED:
                self._bucket.delete(found.name for found in version if not found.name.endswith(f"/{CLAIM}"))

    def _check_whole(self, prefix: str, candidate: Candidate) -> None:
        """Look whether the store has what was sent: a proxy between may have cut it."""
        there = {found.name.removeprefix(f"{prefix}/"): found.size for found in self._bucket.list(prefix)}
        for name, digest in candidate.digests.items():
            if there.get(name) != digest.size:
                raise RegistryUnreachable(f"the registry has {there.get(name)} bytes of {name!r}, {digest.size} were sent; publish again")

    def _give_up(self, prefix: str, names: Iterable[str]) -> None:
        """Remove what was uploaded, and then the claim; what cannot be removed now is left to a later publisher."""
        with contextlib.suppress(RegistryUnreachable):
            self._bucket.delete(f"{prefix}/{name}" for name in (*names, CLAIM))

    def _finish(self, key: str, manifest: bytes) -> None:
        """Create the manifest. Where one is there already it is ours: an answer that was lost made the client ask twice."""
        if self._bucket.create(key, manifest):
            return
        read = self._bucket.read(key)
        if read is None or read.data != manifest:
            raise RegistryUnreachable("somebody else wrote into the version that was being published; publish again")

    def _aliases(self, model: str) -> bytes:
        read = self._bucket.read(f"{model}/{ALIASES}")
        return read.data if read else b""


def _number(model: str, found: StoredObject) -> int:
    """Return the number of the version that an object belongs to, 0 if to none."""
    name, slash, _ = found.name.removeprefix(f"{model}/").partition("/")
    return int(name) if slash and is_version_number(name) else 0


def _is_unfinished(prefix: str, objects: Iterable[StoredObject]) -> bool:
    """Tell whether a publisher claimed the number, wrote files, and never got to the manifest."""
    names = {found.name.removeprefix(f"{prefix}/") for found in objects}
    return CLAIM in names and MANIFEST not in names and len(names) > 1


def _check_time(began: float) -> None:
    if _now_s() - began > _GIVES_UP_S:
        raise RegistryUnreachable(f"publishing took longer than {_GIVES_UP_S / 3600:g} hours; publish again")


def _now_s() -> float:
    """Return seconds of a clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
