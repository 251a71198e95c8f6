"""The prediction routes as plain ASGI: read, decode, submit, encode."""

import asyncio
import logging
import zlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from penstock.domain.clock import monotonic
from penstock.domain.errors import Cancelled, Internal, PenstockError
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.schema import ModelSchema
from penstock.http import v1
from penstock.http.body import read_body
from penstock.http.codec import HEADER_LENGTH, Encode, Encoded, decode, encode
from penstock.http.errors import JSON, error_response
from penstock.http.options import HttpOptions
from penstock.inference.predictor import Nobody, Predictor
from penstock.wire.call import ARM, MODEL_VERSION, REQUEST_ID, SERVER_TIMING, new_request_id, request_id_of, server_timing
from penstock.wire.parameters import apply_call_options

_log = logging.getLogger(__name__)
_OCTETS: Final = "application/octet-stream"
_ZLIB_BITS: Final = {"gzip": 31, "deflate": 15}

Decode = Callable[[bytes, InferenceRequest, ModelSchema], Encode]
"""Fills a request from a body, and returns how its answer becomes one."""


class Predictions:
    """The endpoints that predict. Lives on the event loop."""

    def __init__(self, predictor: Predictor, options: HttpOptions) -> None:
        self._predictor = predictor
        self._options = options

    async def infer(self, request: Request) -> Response:
        """Answer `POST /v2/models/{model}[/versions/{version}]/infer`."""
        header_length = request.headers.get(HEADER_LENGTH)

        def decoder(body: bytes, inference: InferenceRequest, schema: ModelSchema) -> Encode:
            forms = decode(body, header_length, inference, schema)
            return lambda response: encode(response, forms, schema)

        return await self._predict(request, decoder)

    async def predict_v1(self, request: Request) -> Response:
        """Answer `POST /v1/models/{model}[/versions/{version}|/labels/{label}]:predict`."""
        return await self._predict(request, v1.decode)

    async def _predict(self, request: Request, decoder: Decode) -> Response:
        inference = _inference(request)
        try:
            call = await self._decoded(request, inference, decoder)
        except PenstockError as error:
            inference.request_id = inference.request_id or new_request_id()
            self._predictor.refuse(inference, Nobody(), error)
            return error_response(error, {REQUEST_ID: inference.request_id})
        try:
            response = await _unless_gone(request, self._predictor.predict(inference))
            return self._answered(request, response, call(response))
        except PenstockError as error:
            return error_response(error, {REQUEST_ID: inference.request_id})

    async def _decoded(self, request: Request, inference: InferenceRequest, decoder: Decode) -> Encode:
        headers = request.headers
        inference.request_id = request_id_of(headers.get(REQUEST_ID))
        apply_call_options(headers, inference)
        # A model that is not there is told before anything about the body.
        schema = self._predictor.catalog.find(inference.model, inference.version).schema
        body = await read_body(request, self._options.max_body_bytes)
        try:
            return decoder(body, inference, schema)
        except PenstockError:
            raise
        except Exception as error:
            _log.exception("a body could not be decoded for a reason of ours")
            raise Internal("the server failed to read the request; its log tells more") from error

    def _answered(self, request: Request, response: InferenceResponse, encoded: Encoded) -> Response:
        headers = {
            MODEL_VERSION: response.version.version,
            ARM: response.arm,
            REQUEST_ID: response.request_id,
            SERVER_TIMING: server_timing(response.timeline),
        }
        if encoded.json_bytes is not None:
            headers[HEADER_LENGTH] = str(encoded.json_bytes)
        body = b"".join(encoded.parts)
        coding = _coding(request.headers.get("accept-encoding", ""))
        if coding and len(body) > self._options.compress_above_bytes:
            compressor = zlib.compressobj(1, wbits=_ZLIB_BITS[coding])
            body = compressor.compress(body) + compressor.flush()
            headers["content-encoding"] = coding
        return Response(body, 200, headers, _OCTETS if encoded.json_bytes is not None else JSON)


def _inference(request: Request) -> InferenceRequest:
    parameters: Mapping[str, str] = request.path_params
    return InferenceRequest("http", parameters["model"], parameters.get("version", ""), [], arrived_ns=monotonic(), request_id="")


async def _unless_gone(request: Request, prediction: Coroutine[None, None, InferenceResponse]) -> InferenceResponse:
    """Return the answer, or cancel the prediction when the client leaves first."""
    answer = asyncio.ensure_future(prediction)
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        raise Cancelled("the client left before the answer")
    finally:
        for task in (leaving, answer):
            task.cancel()
        await asyncio.gather(answer, leaving, return_exceptions=True)


class _Coding(NamedTuple):
    name: str
    quality: float


def _coding(accept: str) -> str:
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
