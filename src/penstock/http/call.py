"""One prediction as HTTP puts it, without a transport: the fast path and the plain ASGI route differ in nothing below this."""

import logging
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from penstock.domain.errors import Internal, PenstockError
from penstock.domain.request import InferenceRequest
from penstock.domain.schema import ModelSchema
from penstock.http import v1
from penstock.http.codec import HEADER_LENGTH, Encode, Encoded, decode, is_length
from penstock.http.inflate import PLAIN, check_coding, inflated
from penstock.lifecycle.catalog import Catalog
from penstock.wire.call import REQUEST_ID, new_request_id, request_id_of
from penstock.wire.parameters import CALL_OPTIONS, apply_call_options
from penstock.wire.raw import Buffer

_log = logging.getLogger(__name__)
_V2: Final = re.compile(rb"/v2/models/([\w.-]+)(?:/versions/([\w.-]+))?/infer", re.ASCII)
_V1: Final = re.compile(rb"/v1/models/([\w.-]+)(?:/(?:versions|labels)/([\w.-]+))?:predict", re.ASCII)
_ZLIB_BITS: Final = {"gzip": 31, "deflate": 15}


@dataclass(frozen=True, slots=True)
class PredictionCall:
    """What the head of a prediction says."""

    model: str
    version: str
    """A number, an alias, or "" for the model's choice."""
    is_v1: bool
    request_id: str | None
    options: Mapping[str, str]
    """The headers that the request itself heeds, such as its deadline; mostly none."""
    headers: Mapping[str, str]
    """All of them."""
    header_length: str | None
    coding: str
    """How the body is compressed."""
    answer_coding: str
    """How the caller likes its answer compressed; "" for not at all."""

    @classmethod
    def of(cls, model: str, version: str, headers: Mapping[str, str], *, is_v1: bool) -> "PredictionCall":
        """Return the call that lower-case headers describe."""
        options = {name: headers[name] for name in CALL_OPTIONS if name in headers}
        coding = headers.get("content-encoding", "").strip().lower()
        answer_coding = _preferred(headers["accept-encoding"]) if "accept-encoding" in headers else ""
        return cls(model, version, is_v1, headers.get(REQUEST_ID), options, headers, headers.get(HEADER_LENGTH), coding, answer_coding)

    @property
    def json_bytes(self) -> int:
        """How many bytes the caller says stand in front of raw tensors; 0 if it does not say so, or not well."""
        return int(self.header_length) if self.header_length is not None and is_length(self.header_length) else 0

    def opened(self, arrived_ns: int) -> InferenceRequest:
        """Return the request as far as the head tells; its id comes with `begin`."""
        return InferenceRequest("http", self.model, self.version, [], arrived_ns=arrived_ns, headers=self.headers)

    def begin(self, request: InferenceRequest, catalog: Catalog) -> ModelSchema:
        """Judge everything that can be judged before the body is here, and return the schema that it has to fit.

        Raises `PenstockError`: a model that is not there is told before anything about the body.
        """
        request.request_id = new_request_id() if self.request_id is None else request_id_of(self.request_id)
        if self.options:
            apply_call_options(self.options, request)
        schema = catalog.find(self.model, self.version).schema
        if self.coding:
            check_coding(self.coding)
        return schema

    def decode(self, body: Buffer, request: InferenceRequest, schema: ModelSchema, limit: int) -> Encode:
        """Fill the request from the body, of at most `limit` bytes once inflated, and return how its answer is written.

        Raises `PenstockError`.
        """
        try:
            if self.coding not in PLAIN:
                body = inflated(body, limit)
            if self.is_v1:
                return v1.decode(body, request, schema, limit)
            return decode(body, self.header_length, request, schema, limit)
        except PenstockError:
            raise
        except Exception as error:
            _log.exception("a body could not be decoded for a reason of ours")
            raise Internal("the server failed to read the request; its log tells more") from error

    def compressed(self, encoded: Encoded, compress_above_bytes: int) -> Encoded:
        """Return the body of the answer, compressed if that is wanted and worth it."""
        if self.answer_coding and sum(map(len, encoded.parts)) > compress_above_bytes:
            compressor = zlib.compressobj(1, wbits=_ZLIB_BITS[self.answer_coding])
            packed: list[Buffer] = [compressor.compress(part) for part in encoded.parts]
            packed.append(compressor.flush())  # apart: compiled, a list would be filled in another order
            return Encoded(packed, encoded.json_bytes, self.answer_coding)
        return encoded


def call_to(url: bytes, headers: Mapping[str, str]) -> PredictionCall | None:
    """Return the call of a POST to that URL; None for other routes, and for URLs so unusual that the application reads them better."""
    for pattern in (_V2, _V1):
        found = pattern.fullmatch(url)
        if found is not None:
            model, version = found[1].decode(), (found[2] or b"").decode()
            return PredictionCall.of(model, version, headers, is_v1=pattern is _V1)
    return None


class _Coding(NamedTuple):
    name: str
    quality: float


def _preferred(accept: str) -> str:
    """Return the compression that the client likes best, the first one listed among equals; "" for none.

    RFC 9110, section 12.5.3, reduced to what Triton's clients send: identity, gzip and deflate.
    """
    asked = [_quality(item) for item in accept.lower().split(",")]
    known = [coding for coding in asked if coding.quality > 0 and (coding.name in _ZLIB_BITS or coding.name == "identity")]
    best = max(known, key=lambda coding: coding.quality, default=_Coding("identity", 1))
    return best.name if best.name in _ZLIB_BITS else ""


def _quality(item: str) -> _Coding:
    name, _, rest = item.strip().partition(";")
    quality = rest.strip().removeprefix("q=")
    try:
        return _Coding(name.strip(), float(quality) if quality else 1.0)
    except ValueError:
        return _Coding(name.strip(), 0.0)
