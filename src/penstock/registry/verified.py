"""The registry that the server sees: any source, with every byte verified on a private copy before a session loads it."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from penstock.domain.errors import LoadRefused, Unavailable
from penstock.domain.model import ModelArtifact, ModelVersion
from penstock.registry.cache import Cache, HeldCopy
from penstock.registry.cache_index import Place
from penstock.registry.draft import Draft
from penstock.registry.intake import Facts, Intake
from penstock.registry.manifest import REFERENCE
from penstock.registry.options import RegistryOptions
from penstock.registry.signing import SignaturePolicy
from penstock.registry.source import ModelListing, RegistryUnreachable, Snapshot, Source, VersionListing

_log = logging.getLogger(__name__)


class VerifiedRegistry:
    """A source, and the cache that its versions land in. For any number of threads; every method blocks."""

    def __init__(self, source: Source, cache: Cache, options: RegistryOptions | None = None) -> None:
        """Touch nothing yet."""
        options = options or RegistryOptions()
        self._source = source
        self._cache = cache
        self._require_manifest = options.require_manifest
        self._policy: Final = SignaturePolicy(options)
        self._seen: Snapshot | None = None
        self._told = False

    def prepare(self) -> None:
        """Check what can only be wrong from the start; raises ValueError or `LoadRefused` for keys that cannot be used."""
        self._policy.prepare()

    def snapshot(self) -> Snapshot:
        """Return what is there now, or if nothing was ever read since the start, what an earlier run saw and the cache holds.

        Raises `RegistryUnreachable`.
        """
        try:
            found = self._source.snapshot()
        except RegistryUnreachable as error:
            if self._seen is not None:
                raise
            return self._remembered(error)
        if found != self._seen:
            self._cache.index.keep_snapshot(self._source.uri, found)
        self._seen = found
        return found

    def open(self, model: ModelListing, version: VersionListing) -> ModelArtifact:
        """Return a version's verified files, held until the artifact is closed.

        Raises `BadArtifact` or `LoadRefused` with the file and the reason, `Unavailable` if the source does not answer now.
        """
        identity = ModelVersion(model.name, str(version.number))
        filename = model.triton.model_filename if model.triton else "model.onnx"
        intake = Intake(identity, filename, self._policy, self._require_manifest)
        try:
            copy, facts = self._kept(intake, version) or self._fetched(intake, model, version)
        except OSError as error:
            raise _no_room(error) from error
        return _artifact(identity, copy, facts, version, self._source.uri)

    def set_alias(self, model: str, alias: str, number: int | None) -> None:
        """Move an alias where the models come from; raises what `Source.set_alias` raises."""
        self._source.set_alias(model, alias, number)

    def _place(self, name: str, version: VersionListing) -> Place:
        return Place(self._source.uri, name, version.number)

    def _kept(self, intake: Intake, version: VersionListing) -> tuple[HeldCopy, Facts] | None:
        """Return the copy of a version that has not changed since it was made, None if there is none that is sound."""
        digest = self._cache.index.digest(self._place(intake.identity.name, version), version.fingerprint)
        copy = self._cache.hold(digest) if digest else None
        if copy is None:
            return None
        try:
            return copy, intake.examine(copy.directory, copy.content)
        except BaseException:
            copy.close()
            raise

    def _fetched(self, intake: Intake, model: ModelListing, version: VersionListing) -> tuple[HeldCopy, Facts]:
        found: list[Facts] = []

        def fill(draft: Draft) -> None:
            found.append(intake.fill(draft, self._source.files(model, version)))

        try:
            copy = self._with_room(lambda: self._cache.make(fill))
        except RegistryUnreachable as error:
            raise Unavailable(f"{intake.identity} cannot be fetched now: {error}") from error
        self._cache.index.record(self._place(model.name, version), version.fingerprint, copy.content.digest)
        return copy, found[-1]

    def _with_room(self, make: Callable[[], HeldCopy]) -> HeldCopy:
        """Give up every copy that is not in use before giving up this one."""
        try:
            return make()
        except OSError:
            if not self._cache.trim(0):
                raise
        return make()

    def _remembered(self, error: RegistryUnreachable) -> Snapshot:
        last = self._cache.index.snapshot(self._source.uri)
        if last is None:
            raise error
        if not self._told:
            self._told = True
            _log.warning("%s; what the cache holds is served as it was last seen, until the registry can be read", error)
        models = {name: self._held(listing) for name, listing in last.models.items()}
        return Snapshot(models, last.ignored, stale=True)

    def _held(self, model: ModelListing) -> ModelListing:
        """Return a model without the versions that the cache does not hold."""
        versions = {
            number: version
            for number, version in model.versions.items()
            if self._cache.has(self._cache.index.digest(self._place(model.name, version), version.fingerprint))
        }
        lost = "" if versions or not model.versions else "the registry cannot be read, and the cache holds no version of the model"
        return replace(model, versions=versions, problem=model.problem or lost)


def _artifact(identity: ModelVersion, copy: HeldCopy, facts: Facts, version: VersionListing, origin: str) -> ModelArtifact:
    manifest = facts.papers.manifest
    return ModelArtifact(
        replace(identity, digest=facts.digest),
        copy.directory / facts.graph,
        facts.size_bytes,
        origin,
        # What the manifest says is pinned with the files, so it has the last word.
        {**version.tags, **(manifest.tags if manifest else {})},
        {**version.lineage, **(manifest.lineage if manifest else {})},
        facts.papers.signer,
        copy.directory / REFERENCE if REFERENCE in copy.content.files else None,
        copy.close,
    )


def _no_room(error: OSError) -> LoadRefused:
    reason = error.strerror or "it cannot be written"
    return LoadRefused(f"the version cannot be copied into the cache: {reason}; free space, or set registry.cache_dir to another disk")
