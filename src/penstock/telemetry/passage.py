"""One traced prediction."""

from typing import Final, NamedTuple

from penstock.domain.outcome import Outcome
from penstock.domain.request import Timeline
from penstock.domain.ticket import Ticket
from penstock.domain.trace_context import TraceContext

_LONGEST_STATE: Final = 512
"""What a vendor may rely on (W3C Trace Context, section 3.3.1.5)."""


class Passage(NamedTuple):
    """One prediction as its spans will tell of it. Holds no tensors, and no message that might quote one."""

    context: TraceContext
    """Its own span."""
    parent: TraceContext | None
    """The caller's."""
    state: str
    """The caller's `tracestate`."""
    protocol: str
    model: str
    """"" where no version had a part in it."""
    version: str
    digest: str
    arm: str
    request_id: str
    status: str
    outcome: Outcome
    batch_rows: int
    arrived_ns: int
    timeline: Timeline
    sent_ns: int = 0
    """When the answer was with the listener."""

    @classmethod
    def of(cls, ticket: Ticket, status: str, context: TraceContext, parent: TraceContext | None) -> "Passage":
        """Return what is told of a prediction that has ended."""
        request, lease, response = ticket.request, ticket.lease, ticket.response
        return cls(
            context,
            parent,
            "" if parent is None else (request.headers or {}).get("tracestate", "")[:_LONGEST_STATE],
            request.protocol,
            "" if lease is None else lease.identity.name,
            "" if lease is None else lease.identity.version,
            "" if lease is None else lease.identity.digest,
            ticket.arm,
            request.request_id,
            status,
            Outcome.CANCELLED if ticket.outcome is None else ticket.outcome,
            0 if response is None else response.batch_rows,
            request.arrived_ns,
            ticket.timeline,
        )


def same_run(one: Passage, other: Passage) -> bool:
    """Tell whether two predictions were computed in one run of the session: no two runs take the same nanoseconds."""
    return one.timeline.started_ns > 0 and run_of(one) == run_of(other)


def run_of(passage: Passage) -> tuple[str, str, int, int]:
    """Return what the predictions of one run have in common."""
    return passage.model, passage.version, passage.timeline.started_ns, passage.timeline.infer_ns
