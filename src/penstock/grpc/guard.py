"""Stands before every handler of a keyed server, whatever transport carries the calls. Hardened to untrusted callers."""

from collections.abc import Callable, Mapping
from typing import Final

from penstock.domain.actor import Actor, act_as
from penstock.domain.caller import EVERY, Action, Caller
from penstock.domain.errors import PenstockError, Unimplemented
from penstock.grpc.call import CallInfo, CallReply, Cancellable, Ended, Handler, Service, StreamHandler, StreamReply, StreamWork, parse
from penstock.grpc.health import NAME as HEALTH
from penstock.grpc.management import named_model
from penstock.security.access import Access
from penstock.security.refusals import Turned
from penstock.wire import inference as pb
from penstock.wire.call import AUTHORIZATION

Concerns = Callable[[bytes], str]
"""Tells from a message which model it is about; see `Caller.require`."""


def _none(_: bytes) -> str:
    return ""


def _every(_: bytes) -> str:
    return EVERY


def _loaded(data: bytes) -> str:
    return named_model(parse(pb.RepositoryModelLoadRequest, data))


def _unloaded(data: bytes) -> str:
    return named_model(parse(pb.RepositoryModelUnloadRequest, data))


def _counted(data: bytes) -> str:
    return parse(pb.ModelStatisticsRequest, data).name or EVERY


_OPEN: Final = frozenset({"ServerLive", "ServerReady"})
# A prediction's model is read once, with the rest of it, and judged then.
_NEEDS: Final[Mapping[str, tuple[Action, Concerns]]] = {
    "ModelInfer": (Action.PREDICT, _none),
    "ModelStreamInfer": (Action.PREDICT, _none),
    "ServerMetadata": (Action.READ, _none),
    "ModelReady": (Action.READ, lambda data: parse(pb.ModelReadyRequest, data).name),
    "ModelMetadata": (Action.READ, lambda data: parse(pb.ModelMetadataRequest, data).name),
    "ModelConfig": (Action.READ, lambda data: parse(pb.ModelConfigRequest, data).name),
    "ModelStatistics": (Action.READ, _counted),
    "RepositoryIndex": (Action.READ, _every),
    "LogSettings": (Action.MANAGE, _none),
    "RepositoryModelLoad": (Action.MANAGE, _loaded),
    "RepositoryModelUnload": (Action.MANAGE, _unloaded),
    "TraceSetting": (Action.READ, _none),
    "SystemSharedMemoryStatus": (Action.READ, _none),
    "SystemSharedMemoryRegister": (Action.READ, _none),
    "SystemSharedMemoryUnregister": (Action.READ, _none),
    "CudaSharedMemoryStatus": (Action.READ, _none),
    "CudaSharedMemoryRegister": (Action.READ, _none),
    "CudaSharedMemoryUnregister": (Action.READ, _none),
    "ServerReflectionInfo": (Action.READ, _none),
}
_MOST: Final = (Action.MANAGE, _every)
"""What a method needs that is not listed."""


class Guard:
    """Wraps services so that no handler hears of a call whose key does not allow it."""

    def __init__(self, access: Access, turned: Turned = lambda _: None) -> None:
        """Let `turned` hear of whom is turned away."""
        self._access = access
        self._turned = turned

    def over(self, service: Service) -> Service:
        """Return the service behind its keys; health needs none."""
        if service.name == HEALTH:
            return service
        unary = {name: handler if name in _OPEN else self._unary(name, handler) for name, handler in service.unary.items()}
        return Service(service.name, unary, {name: self._stream(name, handler) for name, handler in service.streams.items()})

    def unknown(self, _data: bytes, call: CallInfo, reply: CallReply) -> None:
        """Answer a call of a method that nobody has: without a key not even that is told."""
        try:
            self._caller(call)
        except PenstockError as error:
            self._turned(error)
            reply.fail(error)
        else:
            reply.fail(Unimplemented("Method not found!"))

    def _unary(self, name: str, handler: Handler) -> Handler:
        action, concerns = _needs(name)
        manages = action is Action.MANAGE

        def handle(data: bytes, call: CallInfo, reply: CallReply) -> Cancellable | None:
            try:
                caller = self._caller(call)
                caller.require(_changed(name, data, action), concerns(data))
            except PenstockError as error:
                self._turned(error)
                reply.fail(error)
                return None
            call = call._replace(caller=caller)
            if not manages:
                return handler(data, call, reply)
            with act_as(Actor(caller.name, "key")):
                return handler(data, call, reply)

        return handle

    def _stream(self, name: str, handler: StreamHandler) -> StreamHandler:
        action, _ = _needs(name)

        def handle(call: CallInfo, reply: StreamReply) -> StreamWork | None:
            try:
                caller = self._caller(call)
                caller.require(action)
            except PenstockError as error:
                self._turned(error)
                reply.end(Ended(error=error))
                return None
            return handler(call._replace(caller=caller), reply)

        return handle

    def _caller(self, call: CallInfo) -> Caller:
        return self._access.caller(call.metadata.get(AUTHORIZATION))


def _needs(name: str) -> tuple[Action, Concerns]:
    return _NEEDS.get(name, _MOST)


def _changed(name: str, data: bytes, action: Action) -> Action:
    """Return what is needed: log settings are read and changed by one method."""
    if name != "LogSettings":
        return action
    return Action.MANAGE if parse(pb.LogSettingsRequest, data).settings else Action.READ
