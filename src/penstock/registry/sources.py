"""From the registry's URI to what reads it. Each kind of remote registry comes with an extra and is imported only when asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.options import RegistryOptions
from penstock.registry.source import RegistryUnreachable, Source
from penstock.registry.verified import VerifiedRegistry

_STORES: Final = frozenset({"s3", "gs", "az"})
_OPTIONS_OF_MODELS: Final = "ORT_LOAD_CONFIG_FROM_MODEL"
_MLFLOW: Final = frozenset({"mlflow+http", "mlflow+https"})


def source_of(options: RegistryOptions, environment: Mapping[str, str]) -> Source:
    """Return what reads the registry; connects to nothing yet.

    Raises `RegistryUnreachable` for a URI of another kind, and where an extra is missing.
    """
    try:
        parts = urlsplit(options.uri)
    except ValueError as error:
        raise RegistryUnreachable(f"the registry is neither a path nor a URI that can be read: {error}") from error
    if parts.scheme in _STORES:
        from penstock.registry.object_store import ObjectStoreSource  # noqa: PLC0415 - see above

        return ObjectStoreSource(options.uri)
    if parts.scheme in _MLFLOW:
        return _mlflow(options.uri, environment)
    if parts.scheme == "file":
        return DirectorySource(Path(unquote(parts.path)))
    if parts.scheme:
        raise RegistryUnreachable(
            f"the registry {parts.scheme}: is of a kind that is not known; "
            "use a path, file:, s3://bucket/prefix (also gs, az) or mlflow+http(s)://host"
        )
    return DirectorySource(Path(options.uri))


def is_remote(uri: str) -> bool:
    """Tell whether a registry lies behind a network, so that it may be out of reach now and back later."""
    return urlsplit(uri).scheme not in ("", "file")


def registry_of(options: RegistryOptions, state_dir: Path, environment: Mapping[str, str]) -> VerifiedRegistry:
    """Return the registry that a server loads from, its cache ready to use.

    Raises what `source_of` raises, OSError if the cache's directory cannot be used, ValueError or `LoadRefused` for keys that cannot,
    and ValueError for an environment in which models choose how the engine runs them.
    """
    if _OPTIONS_OF_MODELS in environment:
        raise ValueError(f"{_OPTIONS_OF_MODELS} is set: every model could choose the engine's options by itself; unset it")
    source = source_of(options, environment)
    cache = Cache(Path(options.cache_dir) if options.cache_dir else state_dir / "cache", options.cache_bytes)
    registry = VerifiedRegistry(source, cache, options)
    registry.prepare()
    return registry


def _mlflow(uri: str, environment: Mapping[str, str]) -> Source:
    try:
        from penstock.registry.mlflow import MlflowSource  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("penstock"):
            raise
        raise RegistryUnreachable(f"a registry of MLflow needs {error.name}: pip install 'penstock[mlflow]'") from error
    return MlflowSource(uri, environment)
