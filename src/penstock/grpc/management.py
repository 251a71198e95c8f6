"""The RPCs that list, load and unload models and that change log settings."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from google.protobuf.message import Message

from penstock.domain.errors import InvalidInput, Unimplemented
from penstock.domain.names import shown
from penstock.grpc.call import CallInfo, Handler, awaited, plain
from penstock.inference import descriptions
from penstock.lifecycle.catalog import Catalog
from penstock.wire import inference as pb

Setting = str | bool | int


class ModelControl(Protocol):
    """What loads and unloads models."""

    async def load(self, name: str) -> None:
        """Load or reload a model; returns when that is done, raises why it could not be."""

    async def unload(self, name: str) -> None:
        """Unload a model; returns when it takes no more requests."""


class Token(Protocol):
    """What guards management."""

    def require(self, header: str | None) -> None:
        """Return for a valid `authorization` value, else raise `Unauthenticated`."""


class LogSettings(Protocol):
    """The settings of the log that may be read and changed while the server runs."""

    def as_dict(self) -> dict[str, Setting]:
        """Return all settings, by the protocol's names."""

    def update(self, settings: dict[str, Setting]) -> None:
        """Apply all the settings or none; raises `InvalidInput` or `Unimplemented`."""


class Management:
    """Management behind its token; reading needs none."""

    def __init__(self, catalog: Catalog, control: ModelControl, token: Token, log_settings: LogSettings) -> None:
        self._catalog = catalog
        self._control = control
        self._token = token
        self._log_settings = log_settings

    def handlers(self) -> Mapping[str, Handler]:
        """Return the RPCs by name."""
        return {
            "RepositoryIndex": plain(pb.RepositoryIndexRequest, self._index),
            "RepositoryModelLoad": awaited(pb.RepositoryModelLoadRequest, self._load),
            "RepositoryModelUnload": awaited(pb.RepositoryModelUnloadRequest, self._unload),
            "LogSettings": plain(pb.LogSettingsRequest, self._log),
        }

    def _index(self, asked: pb.RepositoryIndexRequest, _call: CallInfo) -> pb.RepositoryIndexResponse:
        if asked.repository_name:
            raise _one_repository(asked.repository_name)
        return descriptions.repository_index(self._catalog, ready_only=asked.ready)

    async def _load(self, asked: pb.RepositoryModelLoadRequest, call: CallInfo) -> Message:
        self._token.require(call.metadata.get("authorization"))
        name = named_model(asked)
        for key in asked.parameters:
            raise InvalidInput(f"unrecognized load parameter {shown(key)}; models are loaded as the registry has them")
        # A caller who leaves must not stop a load half-way.
        await asyncio.shield(self._control.load(name))
        return _done(asked) or pb.RepositoryModelLoadResponse()

    async def _unload(self, asked: pb.RepositoryModelUnloadRequest, call: CallInfo) -> Message:
        self._token.require(call.metadata.get("authorization"))
        name = named_model(asked)
        _check_unload(asked.parameters)
        await asyncio.shield(self._control.unload(name))
        return _done(asked) or pb.RepositoryModelUnloadResponse()

    def _log(self, asked: pb.LogSettingsRequest, call: CallInfo) -> pb.LogSettingsResponse:
        if asked.settings:
            self._token.require(call.metadata.get("authorization"))
            self._log_settings.update(_settings(asked))
        answer = pb.LogSettingsResponse()
        for key, value in self._log_settings.as_dict().items():
            setattr(answer.settings[key], _member(value), value)
        return answer


def named_model(asked: pb.RepositoryModelLoadRequest | pb.RepositoryModelUnloadRequest) -> str:
    """Return the model that is meant: KServe's copy of the protocol has it where Triton's has the repository's name."""
    if asked.model_name and asked.repository_name:
        raise _one_repository(asked.repository_name)
    return asked.model_name or asked.repository_name


def _done(asked: pb.RepositoryModelLoadRequest | pb.RepositoryModelUnloadRequest) -> Message | None:
    """Return what a KServe client reads, the model's name and `isLoaded` or `isUnloaded`; None for all others.

    No message of our copy has these two fields under that name, but `RepositoryIndexRequest` has them on the wire.
    """
    if asked.model_name:
        return None
    return pb.RepositoryIndexRequest(repository_name=asked.repository_name, ready=True)


def _check_unload(parameters: Mapping[str, pb.ModelRepositoryParameter]) -> None:
    given = parameters.get("unload_dependents")
    if given is not None and given.WhichOneof("parameter_choice") != "bool_param":
        raise InvalidInput("invalid value type for the parameter 'unload_dependents': use bool_param")


def _settings(asked: pb.LogSettingsRequest) -> dict[str, Setting]:
    """Return the settings that have a value; one without leaves things as they are."""
    members = {key: (value, value.WhichOneof("parameter_choice")) for key, value in asked.settings.items()}
    return {key: getattr(value, member) for key, (value, member) in members.items() if member is not None}


def _member(value: Setting) -> str:
    """Return the member of the message's oneof that holds such a value."""
    match value:
        case bool():
            return "bool_param"
        case int():
            return "uint32_param"
    return "string_param"


def _one_repository(name: str) -> Unimplemented:
    return Unimplemented(f"repositories cannot be told apart by name, got {shown(name)}; leave repository_name empty")
