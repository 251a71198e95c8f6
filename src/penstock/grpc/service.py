"""Every RPC of `inference.GRPCInferenceService`, from bytes to bytes; knows nothing of the transport."""

from collections.abc import Callable, Mapping
from typing import Final

import penstock
from penstock.domain.errors import NotFound, Unimplemented
from penstock.grpc.call import CallInfo, Handler, Service, plain, refused
from penstock.grpc.management import LogSettings, Management, ModelControl, Token
from penstock.grpc.options import GrpcOptions
from penstock.grpc.predictions import Predictions
from penstock.grpc.stream import InferStreams
from penstock.inference import descriptions
from penstock.inference.descriptions import NO_LIMITS
from penstock.inference.predictor import Predictor
from penstock.wire import inference as pb

_NO_SHARED_MEMORY: Final = refused(Unimplemented("shared memory is not offered; send tensors in the request"))
_NO_TRACE: Final = refused(Unimplemented("trace settings are not offered; send a traceparent to follow a request"))


class InferenceService:
    """The service as tables of handlers. Lives on the event loop."""

    def __init__(
        self,
        predictor: Predictor,
        control: ModelControl,
        ready: Callable[[], bool],
        token: Token,
        log_settings: LogSettings,
        *,
        limits: Mapping[str, int] = NO_LIMITS,
        max_message_bytes: int = GrpcOptions().max_message_bytes,
    ) -> None:
        self._limits = limits
        self.ready: Final = ready
        self._catalog = predictor.catalog
        predictions = Predictions(predictor, max_message_bytes)
        self._streams = InferStreams(predictions)
        management = Management(predictor.catalog, control, token, log_settings)
        handlers = {"ModelInfer": predictions.infer, **self._reads(), **management.handlers(), **_memory()}
        self.table: Final = Service(pb.SERVICE.full_name, handlers, {"ModelStreamInfer": self._streams.handle})

    def close(self) -> None:
        """End the streams that clients keep open, once what they have sent is answered."""
        self._streams.close()

    def _reads(self) -> Mapping[str, Handler]:
        return {
            "ServerLive": plain(pb.ServerLiveRequest, lambda _, __: pb.ServerLiveResponse(live=True)),
            "ServerReady": plain(pb.ServerReadyRequest, lambda _, __: pb.ServerReadyResponse(ready=self.ready())),
            "ServerMetadata": plain(
                pb.ServerMetadataRequest, lambda _, __: descriptions.server_metadata(penstock.__version__, self._limits)
            ),
            "ModelReady": plain(pb.ModelReadyRequest, self._model_ready),
            "ModelMetadata": plain(pb.ModelMetadataRequest, self._model_metadata),
            "ModelConfig": plain(pb.ModelConfigRequest, self._model_config),
            "ModelStatistics": plain(pb.ModelStatisticsRequest, self._model_statistics),
            "TraceSetting": _NO_TRACE,
        }

    def _model_ready(self, asked: pb.ModelReadyRequest, _call: CallInfo) -> pb.ModelReadyResponse:
        try:
            ready = descriptions.is_ready(self._catalog, asked.name, asked.version)
        except NotFound:  # what does not exist is not ready, says Triton, and its clients poll for a model to come
            ready = False
        return pb.ModelReadyResponse(ready=ready)

    def _model_metadata(self, asked: pb.ModelMetadataRequest, _call: CallInfo) -> pb.ModelMetadataResponse:
        return descriptions.model_metadata(self._catalog, asked.name, asked.version)

    def _model_config(self, asked: pb.ModelConfigRequest, _call: CallInfo) -> pb.ModelConfigResponse:
        return pb.ModelConfigResponse(config=descriptions.model_config(self._catalog, asked.name, asked.version))

    def _model_statistics(self, asked: pb.ModelStatisticsRequest, _call: CallInfo) -> pb.ModelStatisticsResponse:
        return descriptions.model_statistics(self._catalog, asked.name, asked.version)


def _memory() -> Mapping[str, Handler]:
    """Return the shared-memory RPCs: nothing can be registered, so nothing is listed, and all can be unregistered.

    perf_analyzer and many samples unregister everything before they begin.
    """
    return {
        "SystemSharedMemoryStatus": plain(pb.SystemSharedMemoryStatusRequest, lambda _, __: pb.SystemSharedMemoryStatusResponse()),
        "SystemSharedMemoryRegister": _NO_SHARED_MEMORY,
        "SystemSharedMemoryUnregister": plain(
            pb.SystemSharedMemoryUnregisterRequest, lambda _, __: pb.SystemSharedMemoryUnregisterResponse()
        ),
        "CudaSharedMemoryStatus": plain(pb.CudaSharedMemoryStatusRequest, lambda _, __: pb.CudaSharedMemoryStatusResponse()),
        "CudaSharedMemoryRegister": _NO_SHARED_MEMORY,
        "CudaSharedMemoryUnregister": plain(pb.CudaSharedMemoryUnregisterRequest, lambda _, __: pb.CudaSharedMemoryUnregisterResponse()),
    }
