"""A prediction's request, its answer, and the party that hears of it.

The constructors are written out, as they run for each prediction: those that `dataclass` makes stay Python where all else is compiled,
and cost as much as the rest of the object's life.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from penstock.domain.batch import Run
from penstock.domain.caller import Caller
from penstock.domain.errors import PenstockError
from penstock.domain.model import ModelVersion
from penstock.domain.tensor import Tensor

CRITICAL: Final = 0
NORMAL: Final = 1
SHEDDABLE: Final = 2
"""Priorities of a request: the lower number is served first and refused last."""


@dataclass(slots=True, init=False)
class InferenceRequest:
    """One prediction as the predictor sees it, whichever wire it came in on."""

    protocol: str
    """"http" or "grpc"; a label of the ledger."""
    model: str
    version: str
    """A version number, an alias, or "" for the model's choice."""
    inputs: list[Tensor]
    outputs: tuple[str, ...]
    """The outputs asked for, in this order; empty means all."""
    request_id: str
    client_id: str
    """The `id` of the body; echoed, never used as a key."""
    arrived_ns: int
    deadline_ns: int | None
    """When the caller stops waiting, on the monotonic clock; None takes the server's default."""
    priority: int
    route: str
    """The arm that the caller asks for by name, where the route allows it."""
    headers: Mapping[str, str] | None
    """HTTP headers or gRPC metadata, by lower-case name; None where there was no wire."""
    traceparent: str
    """Which trace it is part of: the caller's, or one that began here; "" for none."""
    caller: Caller | None
    """Whose key it came with; None where no keys are asked for."""

    def __init__(
        self,
        protocol: str,
        model: str,
        version: str,
        inputs: list[Tensor],
        outputs: tuple[str, ...] = (),
        *,
        request_id: str = "",
        client_id: str = "",
        arrived_ns: int = 0,
        deadline_ns: int | None = None,
        priority: int = NORMAL,
        route: str = "",
        headers: Mapping[str, str] | None = None,
        traceparent: str = "",
        caller: Caller | None = None,
    ) -> None:
        self.protocol = protocol
        self.model = model
        self.version = version
        self.inputs = inputs
        self.outputs = outputs
        self.request_id = request_id
        self.client_id = client_id
        self.arrived_ns = arrived_ns
        self.deadline_ns = deadline_ns
        self.priority = priority
        self.route = route
        self.headers = headers
        self.traceparent = traceparent
        self.caller = caller


@dataclass(slots=True, init=False)
class Timeline:
    """Where one prediction's time went, in nanoseconds."""

    queue_ns: int
    """From arrival in the queue to the start of the run."""
    input_ns: int
    """Stacking the batch."""
    infer_ns: int
    """The session's run, charged in full to each request of the batch."""
    output_ns: int
    """Splitting the batch's outputs."""
    total_ns: int
    """From the request's arrival to its end."""
    started_ns: int
    """When its first run started, on the monotonic clock; 0 for none."""

    def __init__(
        self, *, queue_ns: int = 0, input_ns: int = 0, infer_ns: int = 0, output_ns: int = 0, total_ns: int = 0, started_ns: int = 0
    ) -> None:
        self.queue_ns = queue_ns
        self.input_ns = input_ns
        self.infer_ns = infer_ns
        self.output_ns = output_ns
        self.total_ns = total_ns
        self.started_ns = started_ns

    def ran(self, run: Run) -> None:
        """Add a run in which rows of the request took part."""
        self.input_ns += run.input_ns
        self.infer_ns += run.infer_ns
        self.output_ns += run.output_ns

    @property
    def compute_ns(self) -> int:
        """Time in a lane: stacking, running, splitting."""
        return self.input_ns + self.infer_ns + self.output_ns


@dataclass(slots=True, init=False)
class InferenceResponse:
    """The answer of one version to one request."""

    version: ModelVersion
    outputs: list[Tensor]
    request_id: str
    client_id: str
    arm: str
    batch_rows: int
    """Rows of the run that computed the answer, all callers' rows together."""
    timeline: Timeline

    def __init__(
        self,
        version: ModelVersion,
        outputs: list[Tensor],
        request_id: str,
        client_id: str = "",
        *,
        arm: str = "stable",
        batch_rows: int = 0,
        timeline: Timeline | None = None,
    ) -> None:
        self.version = version
        self.outputs = outputs
        self.request_id = request_id
        self.client_id = client_id
        self.arm = arm
        self.batch_rows = batch_rows
        self.timeline = Timeline() if timeline is None else timeline


class Reply(Protocol):
    """The party that asked. Exactly one of the two is called, once, on the event loop, maybe before `submit` returns."""

    def answer(self, response: InferenceResponse) -> None:
        """Take the answer."""

    def fail(self, error: PenstockError) -> None:
        """Take the reason why there is none."""
