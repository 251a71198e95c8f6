"""One prediction over gRPC: bytes to the predictor, and the predictor's reply to the call's."""

import logging
from typing import Final

from penstock.domain.caller import PREDICT
from penstock.domain.clock import Clock, monotonic
from penstock.domain.errors import ErrorCode, PenstockError
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.tensor import Tensor
from penstock.domain.ticket import Lease, Ticket
from penstock.grpc import codec
from penstock.grpc.call import CallInfo, CallReply, Metadata, unexpected
from penstock.inference.predictor import Predictor
from penstock.wire import inference as pb
from penstock.wire.call import (
    ARM,
    MODEL_VERSION,
    REQUEST_ID,
    SERVER_TIMING,
    any_request_id,
    request_id_of,
    server_timing,
)
from penstock.wire.classification import check_classification
from penstock.wire.parameters import CALL_OPTIONS, apply_call_options
from penstock.wire.raw_response import FINAL_RESPONSE

_log = logging.getLogger(__name__)
_CALL_OPTIONS: Final = frozenset(CALL_OPTIONS)


class Prediction:
    """The predictor's reply to a ModelInferRequest: turns the end of the prediction into the end of the call."""

    __slots__ = ("_reply", "classes", "lease", "request")

    def __init__(self, request: InferenceRequest, reply: CallReply) -> None:
        self.request = request
        self.classes: codec.Classes = {}
        self.lease: Lease | None = None
        """Of the version that is to answer, which the request may have left to a route; None before that is known."""
        self._reply = reply

    def answer(self, response: InferenceResponse) -> None:
        """Encode the response. Never raises: the batch's other callers wait behind this one."""
        try:
            message = self._encode(response)
        except PenstockError as error:
            self.fail(error)
        except Exception:
            _log.exception("the answer of %s could not be encoded", response.version)
            self.fail(unexpected())
        else:
            self._reply.answer(message, self._told(response))

    def fail(self, error: PenstockError) -> None:
        """Pass the error on, with the id under which the logs know the prediction."""
        self._reply.fail(error, ((REQUEST_ID, self.request.request_id),))

    def _told(self, response: InferenceResponse) -> Metadata:
        return (
            (MODEL_VERSION, response.version.version),
            (ARM, response.arm),
            (REQUEST_ID, response.request_id),
            (SERVER_TIMING, server_timing(response.timeline)),
        )

    def _encode(self, response: InferenceResponse) -> bytes:
        return codec.encode(response, self._outputs(response))

    def _outputs(self, response: InferenceResponse) -> list[Tensor]:
        if not self.classes:
            return response.outputs
        assert self.lease is not None, "no answer comes before there is somebody to give it"  # noqa: S101
        # Still loaded: the lease is given back in this turn of the loop, and a drain goes on in a later one.
        return codec.classified(response.outputs, self.classes, self.lease.schema)


class StreamPrediction(Prediction):
    """The same for a message of a stream, where an error is an answer too, unless the caller wants true statuses."""

    __slots__ = ("_true_status",)

    def __init__(self, request: InferenceRequest, reply: CallReply, *, true_status: bool) -> None:
        super().__init__(request, reply)
        self._true_status = true_status

    def fail(self, error: PenstockError) -> None:
        """Answer with `error_message`; what failed while it ran also tells its model and that nothing follows."""
        if self._true_status:
            super().fail(error)
            return
        message = pb.ModelStreamInferResponse(error_message=error.message)
        message.infer_response.id = self.request.client_id
        if error.code is ErrorCode.MODEL_FAILED:
            self._tell_failed(message.infer_response)
        self._reply.answer(message.SerializeToString())

    def _tell_failed(self, message: pb.ModelInferResponse) -> None:
        message.model_name = self.request.model
        message.parameters[FINAL_RESPONSE].bool_param = True
        if self.lease is not None:
            message.model_version = self.lease.identity.version

    def _told(self, response: InferenceResponse) -> Metadata:  # noqa: ARG002 - messages of a stream carry no metadata
        return ()

    def _encode(self, response: InferenceResponse) -> bytes:
        return codec.encode_in_stream(response, self._outputs(response))


class Predictions:
    """Starts predictions, each of which the ledger counts once, whatever becomes of it. Lives on the event loop."""

    def __init__(self, predictor: Predictor, max_message_bytes: int, clock: Clock = monotonic) -> None:
        self._predictor = predictor
        self._max_message_bytes = max_message_bytes
        self._clock = clock

    def infer(self, data: bytes, call: CallInfo, reply: CallReply) -> Ticket | None:
        """Start a ModelInfer call."""
        return self._start(data, call, Prediction(self._request(call), reply))

    def infer_in_stream(self, data: bytes, call: CallInfo, reply: CallReply, request_id: str, *, true_status: bool) -> Ticket | None:
        """Start one message of a ModelStreamInfer call."""
        return self._start(data, call, StreamPrediction(self._request(call, request_id), reply, true_status=true_status))

    def _request(self, call: CallInfo, request_id: str = "") -> InferenceRequest:
        arrived_ns, headers = self._clock(), call.metadata
        return InferenceRequest(
            "grpc",
            "",
            "",
            [],
            request_id=request_id,
            arrived_ns=arrived_ns,
            deadline_ns=call.deadline_ns,
            headers=headers,
            caller=call.caller,
        )

    def _start(self, data: bytes, call: CallInfo, prediction: Prediction) -> Ticket | None:
        error = self._read(data, call, prediction)
        if error is None:
            ticket = self._predictor.submit(prediction.request, prediction)
            prediction.lease = ticket.lease
            return ticket
        request = prediction.request
        request.request_id = request.request_id or any_request_id(call.metadata.get(REQUEST_ID))
        self._predictor.refuse(request, prediction, self._no_model(request) or error)
        return None

    def _no_model(self, request: InferenceRequest) -> PenstockError | None:
        """Return why there is nobody to answer, if that is so: it matters more than whatever else is wrong.

        Whether a model is there is told only to those who may ask for it.
        """
        try:
            if request.caller is not None and request.model:
                request.caller.require(PREDICT, request.model)
            if request.model:
                self._predictor.catalog.find(request.model, request.version)
        except PenstockError as error:
            return error
        return None

    def _read(self, data: bytes, call: CallInfo, prediction: Prediction) -> PenstockError | None:
        try:
            self._decode(codec.read(data, self._max_message_bytes), call, prediction)
        except PenstockError as error:
            return error.bare()
        except Exception:
            _log.exception("a prediction could not be decoded")
            return unexpected()
        return None

    def _decode(self, message: codec.Message, call: CallInfo, prediction: Prediction) -> None:
        request = prediction.request
        codec.decode_head(message, request)
        request.request_id = request.request_id or request_id_of(call.metadata.get(REQUEST_ID))
        if not _CALL_OPTIONS.isdisjoint(call.metadata):
            apply_call_options(call.metadata, request)
        prediction.classes = codec.decode_body(message, request)
        if prediction.classes:
            self._check_classes(prediction)

    def _check_classes(self, prediction: Prediction) -> None:
        """Refuse, before anything runs, classes of an output that has none."""
        outputs = self._predictor.catalog.find(prediction.request.model, prediction.request.version).schema.output_named
        for name, k in prediction.classes.items():
            if k and name in outputs:
                check_classification(outputs[name], k)
