"""Which predictions of one model are recorded, decided at their end."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from penstock.domain.buffers import held_bytes, own_rows
from penstock.domain.clock import NS_PER_MS
from penstock.domain.outcome import ANSWERED
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Tensor
from penstock.domain.ticket import Ticket
from penstock.payloads.intake import Intake
from penstock.payloads.offer import Offer
from penstock.payloads.options import RecordingOptions
from penstock.payloads.redaction import Redaction
from penstock.traffic.marks import MARKS, mark_of, threshold_of

_log = logging.getLogger(__name__)
_OVERHEAD_BYTES: Final = 2048
"""What the objects around small tensors take."""
_SMALL_BYTES: Final = 4096
"""The size up to which a batch's outputs are kept, and counted, for the sake of one row."""
_NEVER: Final = 1 << 63


class Recording:
    """Offers the predictions of one model to the writer. Called at the end of each, on the event loop: costs microseconds, never raises."""

    __slots__ = ("_alias_of", "_intake", "_keep_errors", "_redaction", "_sample", "_slower_ns", "_threshold", "_wake")

    def __init__(
        self,
        options: RecordingOptions,
        redaction: Redaction,
        intake: Intake,
        wake: Callable[[], None],
        alias_of: Callable[[Ticket], str] = lambda _: "",
    ) -> None:
        """`wake` is called when there is enough for the writer not to wait any longer."""
        self._sample = options.sample
        self._threshold = threshold_of(options.sample)
        self._keep_errors = options.keep_errors
        self._slower_ns = _NEVER if options.slower_ms is None else int(options.slower_ms * NS_PER_MS)
        self._redaction = redaction
        self._intake = intake
        self._wake = wake
        self._alias_of = alias_of

    def __call__(self, ticket: Ticket, status: str) -> None:
        """Hear of a prediction's end."""
        fraction = self._sample if self._threshold >= MARKS else self.fraction(ticket)
        if not fraction:
            return
        self._intake.accepted += 1
        try:
            self._offer(ticket, status, fraction)
        except Exception:
            self._intake.dropped["fault"] += 1
            _log.exception("a prediction could not be offered for its record for a reason of ours")

    def fraction(self, ticket: Ticket) -> float:
        """Return with which probability a prediction that ends like this one is recorded, or 0 if this one is not.

        The probability must be one that was fixed before the draw: that is why what a rule keeps has 1, also if the draw would have kept it
        (Horvitz and Thompson, 1952).
        """
        if (self._keep_errors and ticket.outcome is not ANSWERED) or ticket.timeline.total_ns > self._slower_ns:
            return 1.0
        request = ticket.request
        is_drawn = mark_of(request.request_id or str(request.arrived_ns)) < self._threshold
        return self._sample if is_drawn else 0.0

    def _offer(self, ticket: Ticket, status: str, fraction: float) -> None:
        request, response, error = ticket.request, ticket.response, "" if ticket.error is None else ticket.error.message
        inputs = request.inputs
        outputs = [] if response is None else [own_rows(tensor, _SMALL_BYTES) for tensor in response.outputs]
        if self._redaction.active:
            inputs, outputs = self._kept(ticket, inputs, outputs)
            # What is dropped is dropped here, and messages quote what they complain of.
            request, error = replace(request, inputs=[]), ""
        size = _OVERHEAD_BYTES + (held_bytes(inputs) if inputs else 0) + (held_bytes(outputs) if outputs else 0)
        if not self._intake.has_room(size):
            return
        lease = ticket.lease
        identity, alias = (None, "") if lease is None else (lease.identity, self._alias_of(ticket))
        rows = 0 if response is None else response.batch_rows
        self._intake.put(
            Offer(
                request, inputs, outputs, identity, alias, ticket.arm, status, error, ticket.timeline, rows, fraction, self._redaction, size
            )
        )
        if self._intake.is_ample:
            self._wake()

    def _kept(self, ticket: Ticket, inputs: list[Tensor], outputs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        schema: ModelSchema | None = getattr(ticket.lease, "schema", None)
        if schema is None:  # nothing tells what the tensors are
            return [], []
        return self._redaction.kept(inputs, schema.input_named), self._redaction.kept(outputs, schema.output_named)
