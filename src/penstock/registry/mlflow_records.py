"""What MLflow's registry answers, as far as we read it, and how whole lists are asked for page by page."""

import re
from collections.abc import Iterator
from typing import Final, Protocol, TypeVar

import msgspec

from penstock.registry.mlflow_client import MlflowClient, Parameters
from penstock.registry.source import RegistryUnreachable

_PAGE: Final = 1000
"""Rows; the most that MLflow gives of models."""
_PAGES: Final = 1000
_LOGGED_MODEL: Final = re.compile("models:/(m-[0-9A-Za-z]+)")

_Row = TypeVar("_Row")


class AliasRow(msgspec.Struct):
    """An alias of a model."""

    alias: str
    version: str


class TagRow(msgspec.Struct):
    """A tag of a version."""

    key: str
    value: str = ""


class RegisteredModel(msgspec.Struct):
    """A model: who it is, and where its aliases point."""

    name: str
    last_updated_timestamp: int = 0
    """ms; moves when a version comes, goes or changes its stage, but not with aliases and tags."""
    aliases: list[AliasRow] = []


class RegisteredVersion(msgspec.Struct):
    """A version: where it comes from, and whether its files are there."""

    name: str
    version: str
    creation_timestamp: int = 0
    """ms."""
    status: str = "READY"
    status_message: str = ""
    source: str = ""
    run_id: str = ""
    model_id: str = ""
    user_id: str = ""
    tags: list[TagRow] = []


class _Location(msgspec.Struct):
    artifact_uri: str


class _LoggedModel(msgspec.Struct):
    info: _Location


class _Logged(msgspec.Struct):
    model: _LoggedModel


class _Page(Protocol[_Row]):
    rows: list[_Row]
    next_page_token: str


class _Models(msgspec.Struct):
    rows: list[RegisteredModel] = msgspec.field(default_factory=list, name="registered_models")
    next_page_token: str = ""


class _Versions(msgspec.Struct):
    rows: list[RegisteredVersion] = msgspec.field(default_factory=list, name="model_versions")
    next_page_token: str = ""


def all_models(client: MlflowClient) -> Iterator[RegisteredModel]:
    """Yield every registered model; raises `RegistryUnreachable`."""
    return _rows(client, "/api/2.0/mlflow/registered-models/search", _Models, {})


def all_versions(client: MlflowClient, model: str = "") -> Iterator[RegisteredVersion]:
    """Yield the versions of one model, or of all; raises `RegistryUnreachable`."""
    # By default the last changed comes first, and a change between two pages would hide a version.
    parameters: Parameters = {"order_by": ["name ASC", "version_number ASC"]}
    wanted = {"filter": f"name='{model}'"} if model else {}
    return _rows(client, "/api/2.0/mlflow/model-versions/search", _Versions, {**parameters, **wanted})


def location_of(client: MlflowClient, model: str, number: int) -> str:
    """Return where the files of a version lie; raises `RegistryUnreachable`, `MlflowRefusal` if there is no such version."""
    asked: Parameters = {"name": model, "version": str(number)}
    uri = client.ask("/api/2.0/mlflow/model-versions/get-download-uri", _Location, asked).artifact_uri
    logged = logged_model(uri)
    return client.ask(f"/api/2.0/mlflow/logged-models/{logged}", _Logged).model.info.artifact_uri if logged else uri


def logged_model(uri: str) -> str:
    """Return the id in models:/m-…, as MLflow 3 names a model apart from its registration; "" for any other URI."""
    found = _LOGGED_MODEL.fullmatch(uri)
    return found[1] if found else ""


def _rows(client: MlflowClient, path: str, kind: type[_Page[_Row]], parameters: Parameters) -> Iterator[_Row]:
    token: Parameters = {}
    for _ in range(_PAGES):
        page = client.ask(path, kind, {"max_results": _PAGE, **parameters, **token})
        yield from page.rows
        if not page.next_page_token:
            return
        token = {"page_token": page.next_page_token}
    raise RegistryUnreachable(f"MLflow at {client.address} gives more than {_PAGES} pages of {path}")
