"""The prediction routes as plain ASGI: for embedding, for other servers, and for URLs too unusual for the fast path."""

import asyncio
from collections.abc import Coroutine, Mapping

from starlette.requests import Request
from starlette.responses import Response

from penstock.domain.clock import monotonic
from penstock.domain.errors import Cancelled, PenstockError
from penstock.domain.request import InferenceResponse
from penstock.http.body import received
from penstock.http.call import PredictionCall
from penstock.http.codec import HEADER_LENGTH, OCTETS, Encoded
from penstock.http.door import CALLER
from penstock.http.errors import JSON, error_response
from penstock.http.options import HttpOptions
from penstock.inference.predictor import Nobody, Predictor
from penstock.wire.call import ARM, MODEL_VERSION, REQUEST_ID, SERVER_TIMING, new_request_id, server_timing


class Predictions:
    """The endpoints that predict. Lives on the event loop."""

    def __init__(self, predictor: Predictor, options: HttpOptions) -> None:
        self._predictor = predictor
        self._options = options

    async def infer(self, request: Request) -> Response:
        """Answer `POST /v2/models/{model}[/versions/{version}]/infer`."""
        return await self._predict(request, is_v1=False)

    async def predict_v1(self, request: Request) -> Response:
        """Answer `POST /v1/models/{model}[/versions/{version}|/labels/{label}]:predict`."""
        return await self._predict(request, is_v1=True)

    async def _predict(self, request: Request, *, is_v1: bool) -> Response:
        parameters: Mapping[str, str] = request.path_params
        call = PredictionCall.of(parameters["model"], parameters.get("version", ""), request.headers, is_v1=is_v1)
        inference, limit = call.opened(monotonic()), self._options.max_body_bytes
        inference.caller = request.scope.get(CALLER)
        try:
            schema = call.begin(inference, self._predictor.catalog)
            encode = call.decode(await received(request, limit), inference, schema, limit)
        except PenstockError as error:
            inference.request_id = inference.request_id or new_request_id()
            self._predictor.refuse(inference, Nobody(), error)
            return error_response(error, {REQUEST_ID: inference.request_id})
        try:
            response = await _unless_gone(request, self._predictor.predict(inference))
            return _answered(response, call.compressed(encode(response), self._options.compress_above_bytes))
        except PenstockError as error:
            return error_response(error, {REQUEST_ID: inference.request_id})


def _answered(response: InferenceResponse, encoded: Encoded) -> Response:
    headers = {
        MODEL_VERSION: response.version.version,
        ARM: response.arm,
        REQUEST_ID: response.request_id,
        SERVER_TIMING: server_timing(response.timeline),
    }
    if encoded.json_bytes is not None:
        headers[HEADER_LENGTH] = str(encoded.json_bytes)
    if encoded.coding:
        headers["content-encoding"] = encoded.coding
    return Response(b"".join(encoded.parts), 200, headers, JSON if encoded.json_bytes is None else OCTETS)


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
