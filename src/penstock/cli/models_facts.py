"""What is known of one version, for people and for machines."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from penstock.cli.models_registry import Opened
from penstock.cli.tables import aligned
from penstock.domain.errors import PenstockError
from penstock.domain.model import ModelArtifact
from penstock.domain.tensor import TensorSpec
from penstock.registry.artifact import model_digest
from penstock.registry.candidate import Progress, candidate_of
from penstock.registry.content import Content
from penstock.registry.manifest import REFERENCE, Manifest
from penstock.registry.model_folder import SETTINGS
from penstock.registry.options import RegistryOptions
from penstock.registry.publisher import Labels, manifest_for, manifest_of
from penstock.registry.source import ModelListing, RegistryUnreachable, Source, VersionListing

_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000
_TRIAL_S = 300.0

Answer = dict[str, Any]


class Summary(TypedDict):
    """One version in a list."""

    version: int
    created: str
    size_bytes: int | None
    """Of all files in the registry, those that say what the others are included; None where it does not tell, as MLflow's."""
    aliases: list[str]
    tags: dict[str, str]
    problem: str


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """A version as its manifest, or else its files, describe it."""

    model: ModelListing
    version: VersionListing
    manifest: Manifest
    digest: str = ""
    """Over all files, as servers report it."""

    @property
    def aliases(self) -> list[str]:
        """Names that stand for the version."""
        return aliases_of(self.model, self.version.number)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.manifest.files.values())

    def answer(self) -> Answer:
        """Return everything, for a machine."""
        manifest = self.manifest
        return {
            "model": self.model.name,
            "version": self.version.number,
            "published": self.version.complete,
            "created": manifest.created or None,
            "aliases": self.aliases,
            "digest": self.digest,
            "size_bytes": self.size_bytes,
            "ir_version": manifest.ir_version,
            "opsets": dict(manifest.opsets),
            "inputs": list(map(_tensor, manifest.inputs)),
            "outputs": list(map(_tensor, manifest.outputs)),
            "files": {name: {"sha256": file.sha256, "size": file.size} for name, file in manifest.files.items()},
            "settings": dict(self.version.settings),
            "tags": dict(self.version.tags) | dict(manifest.tags),
            "lineage": dict(self.version.lineage) | dict(manifest.lineage),
        }

    def lines(self) -> Iterator[str]:
        """Yield everything, for people."""
        yield f"{self.model.name}/{self.version.number}"
        yield ""
        yield from aligned(("FACT", "VALUE"), list(flat(self.answer()).items()))


def facts_of(opened: Opened, model: ModelListing, version: VersionListing) -> VersionFacts:
    """Return what is known of a version; one without a manifest is copied and loaded to learn the same.

    Raises `RegistryUnreachable`, `BadArtifact` or `LoadRefused`.
    """
    manifest = manifest_of(opened.source, model, version)
    if manifest is not None:
        return VersionFacts(model, version, manifest, _digest(manifest))
    with opened.fresh(RegistryOptions()) as registry:
        artifact = registry.open(model, version)
        try:
            return VersionFacts(model, version, _read(artifact, model), artifact.version.digest)
        finally:
            artifact.close()


def _digest(manifest: Manifest) -> str:
    return model_digest(Content(manifest.files), manifest.files.keys() - {SETTINGS, REFERENCE})


def _read(artifact: ModelArtifact, model: ModelListing) -> Manifest:
    """Return what a manifest would say of files that have none."""
    from penstock.lifecycle.options import ModelOptions  # noqa: PLC0415 - it brings ONNX Runtime along, which most commands do not need
    from penstock.lifecycle.trial import options_of, try_out  # noqa: PLC0415 - as above

    candidate = candidate_of(artifact.path, artifact.path.name, _unwatched)
    trial = try_out(artifact.path, model, options_of(ModelOptions()), _TRIAL_S)
    return replace(manifest_for(model.name, candidate, Labels(trial.inputs, trial.outputs)), created="")


def _unwatched(_total: int) -> AbstractContextManager[Progress]:
    return nullcontext(lambda _bytes: None)


def summary_of(source: Source, model: ModelListing, version: VersionListing) -> Summary:
    """Return one line of a list of versions; what cannot be read of one, for whatever reason, is told in its line."""
    manifest, problem = None, version.problem
    try:
        manifest = manifest_of(source, model, version)
    except (PenstockError, RegistryUnreachable) as error:
        problem = problem or str(error)
    return Summary(
        version=version.number,
        created=manifest.created if manifest else "",
        size_bytes=sum(size for _, size, _ in version.fingerprint) or None,
        aliases=aliases_of(model, version.number),
        tags=dict(version.tags) | (dict(manifest.tags) if manifest else {}),
        problem=problem,
    )


def flat(answer: Answer) -> dict[str, str]:
    """Return the facts one by one, with texts that can be compared and shown."""
    rows = {key: str(answer[key] or "-") for key in ("created", "digest", "ir_version")}
    rows |= {"aliases": ", ".join(answer["aliases"]) or "-", "size": size(answer["size_bytes"])}
    rows |= {f"opset {domain}": str(number) for domain, number in answer["opsets"].items()}
    rows |= {f"{kind} {tensor['name']}": _shape(tensor) for kind in ("input", "output") for tensor in answer[f"{kind}s"]}
    rows |= {f"file {name}": f"{size(file['size'])}, sha256 {file['sha256']}" for name, file in answer["files"].items()}
    for kind, single in (("settings", "setting"), ("tags", "tag"), ("lineage", "lineage")):
        rows |= {f"{single} {key}": str(value) for key, value in answer[kind].items()}
    return rows


def aliases_of(model: ModelListing, number: int) -> list[str]:
    """Return the aliases that name a version, in order."""
    return sorted(alias for alias, target in model.aliases.items() if target == number)


def size(count: int) -> str:
    """Return a number of bytes as people write it."""
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{value:.{1 if unit else 0}f} {_UNITS[unit]}"


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype.wire, "shape": list(spec.shape), "optional": spec.optional}


def _shape(tensor: Mapping[str, object]) -> str:
    return f"{tensor['datatype']}{tensor['shape']}" + (", optional" if tensor["optional"] else "")
