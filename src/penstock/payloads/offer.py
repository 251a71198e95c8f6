"""A prediction on its way from the event loop to the writer: by reference, nothing encoded yet."""

from typing import NamedTuple

from penstock.domain.clock import NS_PER_US
from penstock.domain.model import ModelVersion
from penstock.domain.records import PayloadRecord
from penstock.domain.request import InferenceRequest, Timeline
from penstock.domain.tensor import Tensor
from penstock.domain.trace_context import trace_id_of


class Offer(NamedTuple):
    """What is needed to record one prediction, redacted already."""

    request: InferenceRequest
    inputs: list[Tensor]
    outputs: list[Tensor]
    version: ModelVersion | None
    alias: str
    arm: str
    status: str
    error: str
    timeline: Timeline
    batch_rows: int
    fraction: float
    status_code: int
    subject: str
    size_bytes: int
    caller: str = ""

    def record(self, epoch_ns: int, headers: tuple[str, ...]) -> PayloadRecord:
        """Return the record; `epoch_ns` is when the monotonic clock was 0."""
        request, timeline, version = self.request, self.timeline, self.version
        return PayloadRecord(
            request.request_id,
            trace_id_of(request.traceparent),
            (epoch_ns + request.arrived_ns + timeline.total_ns) // NS_PER_US,
            request.model,
            "" if version is None else version.version,
            "" if version is None else version.digest,
            self.alias,
            self.arm,
            request.protocol,
            self.status,
            self.error,
            timeline.total_ns // NS_PER_US,
            timeline.queue_ns // NS_PER_US,
            timeline.infer_ns // NS_PER_US,
            self.batch_rows,
            request.client_id,
            self.fraction,
            self.inputs,
            self.outputs,
            _allowed(request, headers) if headers else {},
            self.status_code,
            self.subject,
            self.caller,
        )


def _allowed(request: InferenceRequest, headers: tuple[str, ...]) -> dict[str, str]:
    given = request.headers or {}
    return {name: given[name] for name in headers if name in given}
