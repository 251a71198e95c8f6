"""MLflow's model registry as a source: its versions, aliases and tags, and the ONNX files that were logged there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Final

from penstock.domain.errors import BadArtifact, NotFound
from penstock.domain.names import is_alias, is_model_name, is_version_number, shown
from penstock.registry.manifest import MANIFEST
from penstock.registry.mlflow_access import access_of
from penstock.registry.mlflow_artifacts import Artifacts, artifacts_at
from penstock.registry.mlflow_client import MlflowClient, MlflowRefusal
from penstock.registry.mlflow_model import MAX_MLMODEL_BYTES, MLMODEL, graph_of
from penstock.registry.mlflow_records import RegisteredModel, RegisteredVersion, all_models, location_of, logged_model
from penstock.registry.mlflow_versions import KnownVersions
from penstock.registry.source import ModelListing, ReadOnlyRegistry, RegistryUnreachable, Snapshot, SourceFile, VersionListing

_READY: Final = "READY"
_GRAPH: Final = "model.onnx"
_ALIAS: Final = "/api/2.0/mlflow/registered-models/alias"
_FORBIDDEN: Final = frozenset({401, 403, 405, 501})
_GONE: Final = 404
# What MLflow itself puts beside a model.
_BESIDE: Final = frozenset({"conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json", "serving_input_example.json"})


@dataclass(frozen=True, slots=True)
class MlflowFile:
    """One file of a version, by its name in our layout."""

    artifacts: Artifacts
    path: str
    """Where it lies below the version's artifacts."""
    name: str
    size: int | None

    def chunks(self) -> Iterator[bytes]:
        """Yield the content; raises `RegistryUnreachable` if it ends early, `BadArtifact` if it is longer than was told."""
        done = 0
        for piece in self.artifacts.chunks(self.path):
            done += len(piece)
            if self.size is not None and done > self.size:
                raise BadArtifact(f"the file {shown(self.name)} has more than the {self.size} bytes that MLflow tells; log the model again")
            yield piece
        if self.size is not None and done < self.size:
            raise RegistryUnreachable(f"the file {shown(self.name)} ends after {done} of {self.size} bytes; it is read again")


class MlflowSource:
    """The models of one MLflow server. A look costs one call, and few more when versions have come or gone."""

    def __init__(self, uri: str, environment: Mapping[str, str]) -> None:
        """Connect to nothing yet.

        `uri` is of the form mlflow+http(s)://host[:port][/prefix]; credentials and certificates are MLflow's own variables in
        `environment`. Raises `RegistryUnreachable` for what can never work.
        """
        self.uri: Final = uri
        self._client = MlflowClient(access_of(uri, environment))
        self._known = KnownVersions(self._client)
        self._one_look = Lock()

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._client.close()

    def snapshot(self) -> Snapshot:
        """Return what is there now; raises `RegistryUnreachable`."""
        with self._one_look:
            models = list(all_models(self._client))
            ignored = [f"{shown(model.name)}: not a valid model name" for model in models if not is_model_name(model.name)]
            models = [model for model in models if is_model_name(model.name)]
            versions = self._known.of(models)
        listings = {model.name: _listing(model, versions[model.name], ignored) for model in models}
        return Snapshot(listings, tuple(ignored))

    def files(self, model: ModelListing, version: VersionListing) -> Sequence[SourceFile]:
        """Return the ONNX file as model.onnx, what lies beside it, and `MLmodel`, whose signature names the features.

        Raises `RegistryUnreachable`, or `BadArtifact` for a version that is gone, was not logged as ONNX or lies where we do not read.
        """
        try:
            artifacts = artifacts_at(location_of(self._client, model.name, version.number), self._client)
            return _files(artifacts)
        except MlflowRefusal as refusal:
            if refusal.status == _GONE:
                raise BadArtifact(f"version {version.number} of {model.name!r} is no longer in the registry") from refusal
            raise

    def set_alias(self, model: str, alias: str, number: int | None) -> None:
        """Move an alias, or remove it with None.

        Raises `ReadOnlyRegistry` if MLflow does not let us, `RegistryUnreachable`, or `NotFound` for a model or version that is not there.
        """
        document = {"name": model, "alias": alias}
        try:
            if number is None:
                self._client.tell("DELETE", _ALIAS, document)
            else:
                self._client.tell("POST", _ALIAS, {**document, "version": str(number)})
        except MlflowRefusal as refusal:
            raise _unmoved(refusal) from refusal


def _unmoved(refusal: MlflowRefusal) -> Exception:
    if refusal.status == _GONE:
        return NotFound(str(refusal))
    return ReadOnlyRegistry(str(refusal)) if refusal.status in _FORBIDDEN else refusal


def _listing(model: RegisteredModel, versions: Sequence[RegisteredVersion], ignored: list[str]) -> ModelListing:
    found = {}
    for version in versions:
        if problem := _problem(version):
            ignored.append(f"{model.name}/{version.version}: {problem}")
        else:
            found[int(version.version)] = _version(version)
    return ModelListing(model.name, found, _aliases(model, ignored))


def _problem(version: RegisteredVersion) -> str:
    if not is_version_number(version.version):
        return "a version is a number without leading zeros"
    return "" if version.status == _READY else f"its registration is {shown(version.status)}, not READY {version.status_message}".strip()


def _version(version: RegisteredVersion) -> VersionListing:
    lineage = {
        "source": version.source,
        "run_id": version.run_id,
        "model_id": version.model_id or logged_model(version.source),
        "created_by": version.user_id,
    }
    return VersionListing(
        int(version.version),
        Path(version.version),
        # MLflow never changes the files of a version; a description that changes is no reason to load it again.
        ((version.source, 0, version.creation_timestamp * 1_000_000),),
        complete=True,  # it is READY once all files are there
        tags={tag.key: tag.value for tag in version.tags},
        lineage={key: value for key, value in lineage.items() if value},
    )


def _aliases(model: RegisteredModel, ignored: list[str]) -> dict[str, int]:
    odd = [row.alias for row in model.aliases if not is_alias(row.alias)]
    ignored += [f"{model.name}: the alias {shown(alias)} is not valid; start it with a letter or '_', and no 'v<number>'" for alias in odd]
    return {row.alias: int(row.version) for row in model.aliases if is_alias(row.alias) and is_version_number(row.version)}


def _files(artifacts: Artifacts) -> list[MlflowFile]:
    sizes = dict(artifacts.files())
    if MLMODEL not in sizes:
        raise BadArtifact("the version has no file MLmodel; log it with mlflow.onnx.log_model")
    graph = PurePosixPath(graph_of(_text(MlflowFile(artifacts, MLMODEL, MLMODEL, sizes[MLMODEL]))))
    if str(graph) not in sizes:
        raise BadArtifact(f"MLmodel names the ONNX file {shown(str(graph))}, which is not there; log the model again")
    below = (PurePosixPath(path) for path in sizes if path not in (MLMODEL, str(graph), *_BESIDE))
    paths = {str(path.relative_to(graph.parent)): str(path) for path in below if path.is_relative_to(graph.parent)}
    paths[_GRAPH] = str(graph)  # another file of that name is none that the graph reads
    if MANIFEST not in paths:  # which lists what was there when the model was published
        paths[MLMODEL] = MLMODEL
    return [MlflowFile(artifacts, path, name, sizes[path]) for name, path in paths.items()]


def _text(file: MlflowFile) -> bytes:
    """Return a small file whole; raises `BadArtifact` for one that is not small."""
    text = b""
    for piece in file.chunks():
        text += piece
        if len(text) > MAX_MLMODEL_BYTES:
            raise BadArtifact(f"{file.name} is larger than {MAX_MLMODEL_BYTES} bytes")
    return text
