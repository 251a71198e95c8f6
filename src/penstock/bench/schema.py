"""Asks a server what a model takes."""

import http.client
from collections.abc import Sequence
from typing import Final

import msgspec

from penstock.bench.bodies import model_path
from penstock.bench.plan import CannotMeasure, Target
from penstock.domain.errors import InvalidInput
from penstock.domain.tensor import TensorSpec
from penstock.wire.raw import datatype_named

_PATIENCE_S: Final = 10
_OK: Final = 200


class _Input(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]


class _Metadata(msgspec.Struct):
    inputs: list[_Input]


def inputs_of(target: Target) -> list[TensorSpec]:
    """Return what the model declares of its inputs. Raises `CannotMeasure` if nobody listens or there is no such model."""
    if target.protocol.is_grpc:
        # grpcio takes long to import, and most runs do without.
        from penstock.bench.grpc_client import inputs_over_grpc  # noqa: PLC0415 - see above

        declared: Sequence[tuple[str, str, Sequence[int]]] = inputs_over_grpc(target, _PATIENCE_S)
    else:
        declared = [(one.name, one.datatype, one.shape) for one in _over_http(target).inputs]
    try:
        return [TensorSpec(name, datatype_named(datatype, name), tuple(shape)) for name, datatype, shape in declared]
    except InvalidInput as error:
        raise CannotMeasure(f"the model {target.model!r} cannot be asked: {error}") from error


def _over_http(target: Target) -> _Metadata:
    status, content = _get(target, model_path(target))
    if status != _OK:
        raise CannotMeasure(
            f"{target.url} answered {status} when asked for the model {target.model!r}: {content[:300].decode(errors='replace')}"
        )
    try:
        return msgspec.json.decode(content, type=_Metadata)
    except msgspec.MsgspecError as error:
        raise CannotMeasure(f"{target.url} does not tell what the model {target.model!r} takes: {error}") from error


def _get(target: Target, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(target.address, timeout=_PATIENCE_S)
    try:
        connection.request("GET", path, headers=dict(target.headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise CannotMeasure(f"nothing answers at {target.url}: {error or type(error).__name__}") from error
    finally:
        connection.close()
