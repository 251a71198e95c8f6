"""The first word on a request: whether it may come in at all, and how long it may stay."""

from typing import Final

from penstock.domain.clock import NS_PER_S
from penstock.domain.errors import Overloaded, PenstockError, Unavailable
from penstock.domain.request import InferenceRequest

_MEMORY_RETRY_S: Final = 2.0


class Admission:
    """Refuses what comes while the server drains or memory is short, and gives every request a deadline. Lives on the event loop."""

    def __init__(self, request_timeout_s: float, max_request_timeout_s: float) -> None:
        self.leaving = False
        """Whether readiness is off, while everything is still served."""
        self.draining = False
        """Whether new work is refused."""
        self.short_of_memory = False
        """Whether new work is refused until memory is free again; set from a thread."""
        self._default_ns = int(request_timeout_s * NS_PER_S)
        self._most_ns = int(max_request_timeout_s * NS_PER_S)

    def admit(self, request: InferenceRequest) -> None:
        """Settle the request's deadline; raises `Unavailable` while the server drains, `Overloaded` while memory is short."""
        if self.draining or self.short_of_memory:
            raise self._refusal()
        latest_ns = request.arrived_ns + self._most_ns
        if request.deadline_ns is None:
            request.deadline_ns = request.arrived_ns + self._default_ns
        request.deadline_ns = min(request.deadline_ns, latest_ns)

    def _refusal(self) -> PenstockError:
        if self.draining:
            return Unavailable("the server is shutting down; send the request to another one")
        text = "the server is short of memory; try again later, or send the request to another one"
        return Overloaded(text, retry_after_s=_MEMORY_RETRY_S)
