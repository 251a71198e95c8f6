"""The first word on a request: whether it may come in at all, and how long it may stay."""

from penstock.domain.clock import NS_PER_S
from penstock.domain.errors import Unavailable
from penstock.domain.request import InferenceRequest


class Admission:
    """Refuses what comes while the server drains, and gives every request a deadline. Lives on the event loop."""

    def __init__(self, request_timeout_s: float, max_request_timeout_s: float) -> None:
        self.leaving = False
        """Whether readiness is off, while everything is still served."""
        self.draining = False
        """Whether new work is refused."""
        self._default_ns = int(request_timeout_s * NS_PER_S)
        self._most_ns = int(max_request_timeout_s * NS_PER_S)

    def admit(self, request: InferenceRequest) -> None:
        """Settle the request's deadline, or raise `Unavailable` while the server drains."""
        if self.draining:
            raise Unavailable("the server is shutting down; send the request to another one")
        latest_ns = request.arrived_ns + self._most_ns
        if request.deadline_ns is None:
            request.deadline_ns = request.arrived_ns + self._default_ns
        request.deadline_ns = min(request.deadline_ns, latest_ns)
