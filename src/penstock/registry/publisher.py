"""Publishing: a candidate becomes a version that nobody changes any more."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from penstock.domain.errors import BadArtifact, LoadRefused, NotFound
from penstock.domain.names import shown
from penstock.domain.tensor import TensorSpec
from penstock.registry.aliases import known_aliases
from penstock.registry.candidate import Candidate, Progress
from penstock.registry.digester import digest_of
from penstock.registry.manifest import MANIFEST, MAX_MANIFEST_BYTES, SIGNATURE, Manifest
from penstock.registry.model_folder import TRITON
from penstock.registry.signing import sign
from penstock.registry.source import ModelListing, Source, SourceFile, VersionListing

Last = Callable[[int], Mapping[str, bytes]]
"""From a version's number to the files that are written last, in that order: the manifest says which number it is for."""


class Publisher(Protocol):
    """Writes versions into a registry. Every method blocks and raises `RegistryUnreachable` or `ReadOnlyRegistry`."""

    def place(self, model: str, candidate: Candidate, last: Last, progress: Progress) -> int:
        """Write the candidate as the next version, and return its number.

        Until the manifest is there, the version is not; whatever ends the process before, nothing of it is ever listed. Two who
        publish at once get two numbers. A config.pbtxt is written by the first version only, as the last thing before that version
        is there. Raises `BadArtifact` if a file is no longer what was checked, `LoadRefused` where the model has another config.pbtxt.
        """

    def replace(self, model: str, number: int, name: str, content: bytes) -> None:
        """Write one small file of a version at once."""

    def config(self, model: str) -> bytes | None:
        """Return the model's config.pbtxt, empty where its versions have none; None as long as the first version may bring one."""

    def delete(self, model: str, number: int) -> None:
        """Remove a version; its number is not used again.

        Raises `LoadRefused` while an alias names it, `NotFound` if it is not there.
        """


@dataclass(frozen=True, slots=True)
class Labels:
    """What is said of a version beside its files."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    lineage: Mapping[str, str] = field(default_factory=dict)
    key: Path | None = None
    """The private key, in PEM, that signs the version."""


def publish(publisher: Publisher, model: str, candidate: Candidate, labels: Labels, progress: Progress) -> int:
    """Write a candidate that was found good as the model's next version, and return its number.

    Raises what `Publisher.place` raises, and `LoadRefused` where the model has another config.pbtxt or the key cannot sign.
    """
    manifest = manifest_for(model, candidate, labels)

    def last(number: int) -> dict[str, bytes]:
        text = replace(manifest, version=number).encode()
        return ({SIGNATURE: sign(text, labels.key)} if labels.key else {}) | {MANIFEST: text}

    last(1)  # a key or a label that cannot be used is told before anything is written
    return publisher.place(model, candidate, last, progress)


def refuse_other_config(model: str, config: str, there: bytes | None) -> None:
    """Raise `LoadRefused` if a candidate brings a config.pbtxt other than what `Publisher.config` has returned."""
    if config and there is not None and there != config.encode():
        has = f"another {TRITON} already" if there else f"versions without a {TRITON}"
        raise LoadRefused(
            f"the model {model!r} has {has}, and all its versions share that file; publish without it, or say what differs in a "
            "model.toml beside the model file"
        )


def manifest_for(model: str, candidate: Candidate, labels: Labels) -> Manifest:
    """Return what the manifest of the candidate says, but for the number that it will have."""
    return Manifest(
        files=candidate.digests,
        model=model,
        ir_version=candidate.facts.ir_version,
        opsets={domain or "ai.onnx": opset for domain, opset in candidate.facts.opset_imports},
        inputs=labels.inputs,
        outputs=labels.outputs,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        tags=labels.tags,
        lineage=labels.lineage,
    )


def same_version(source: Source, model: ModelListing, candidate: Candidate) -> int | None:
    """Return the highest version that holds the very files of the candidate, None if there is none; raises `RegistryUnreachable`."""
    sizes = {(name, digest.size) for name, digest in candidate.digests.items()}
    alike = [version for version in model.versions.values() if sizes <= {(name, size) for name, size, _ in version.fingerprint}]
    for version in sorted(alike, key=lambda version: version.number, reverse=True):
        manifest = manifest_of(source, model, version)
        if manifest is not None and manifest.files == candidate.digests and _is_intact(source, model, version, manifest):
            return version.number
    return None


def _is_intact(source: Source, model: ModelListing, version: VersionListing, manifest: Manifest) -> bool:
    """Tell whether the files are still what the manifest says; reads every byte."""
    files = {file.name: file for file in source.files(model, version)}
    try:
        return all(name in files and digest_of(files[name].chunks()) == digest for name, digest in manifest.files.items())
    except BadArtifact:
        return False


def manifest_of(source: Source, model: ModelListing, version: VersionListing) -> Manifest | None:
    """Return what a version's manifest says, None if it has none; not yet held against its files.

    Raises `RegistryUnreachable`, `BadArtifact`, and `LoadRefused` for a manifest that is malformed.
    """
    text = file_of(source, model, version, MANIFEST)
    return None if text is None else Manifest.decode(text)


def file_of(source: Source, model: ModelListing, version: VersionListing, name: str) -> bytes | None:
    """Return the content of one small file of a version, None if it is not there.

    Raises `RegistryUnreachable`, or `BadArtifact`, also for one that is larger than any manifest may be.
    """
    found = [file for file in source.files(model, version) if file.name == name]
    return _bounded(found[0]) if found else None


def _bounded(file: SourceFile) -> bytes:
    content = bytearray()
    for piece in file.chunks():
        content += piece
        if len(content) > MAX_MANIFEST_BYTES:
            raise BadArtifact(f"the file {shown(file.name)} has more than {MAX_MANIFEST_BYTES} bytes; no server reads it either")
    return bytes(content)


def sign_version(publisher: Publisher, source: Source, model: ModelListing, version: VersionListing, key: Path) -> None:
    """Sign a version that is there. Raises `LoadRefused` for one without a manifest, or a key that cannot sign."""
    text = file_of(source, model, version, MANIFEST)
    if text is None:
        raise LoadRefused(f"version {version.number} of {model.name!r} has no {MANIFEST} to sign; publish its files again")
    publisher.replace(model.name, version.number, SIGNATURE, sign(text, key))


def refuse_named(model: str, number: int, read: Callable[[], bytes]) -> None:
    """Raise `LoadRefused` if an alias names the version; `read` returns the file of aliases, nothing if there is none."""
    aliases = known_aliases(read, "whether an alias names the version cannot be told")
    if names := sorted(alias for alias, target in aliases.items() if target == number):
        raise LoadRefused(f"version {number} of {model!r} is named by the alias {', '.join(names)}; move or remove it first")


def missing_version(model: str, number: int) -> NotFound:
    """Return the error for a version that is not there."""
    return NotFound(f"the registry has no version {number} of {model!r}")
