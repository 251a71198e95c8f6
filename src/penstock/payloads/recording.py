"""Which predictions of one model are recorded, decided at their end."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from penstock.domain.buffers import held_bytes, own_rows
from penstock.domain.clock import NS_PER_MS
from penstock.domain.outcome import ANSWERED
from penstock.domain.request import InferenceRequest
from penstock.domain.tensor import Tensor, TensorSpec
from penstock.domain.ticket import Ticket
from penstock.payloads.caller import CallerColumn
from penstock.payloads.intake import Intake
from penstock.payloads.keep import Keep
from penstock.payloads.offer import Offer
from penstock.payloads.options import RecordingOptions
from penstock.payloads.redaction import Redaction
from penstock.payloads.subject import SubjectKey, TooManySubjects
from penstock.payloads.undecided import Undecided
from penstock.traffic.marks import MARKS, mark_of, threshold_of

_log = logging.getLogger(__name__)
_OVERHEAD_BYTES: Final = 2048
"""What the objects around small tensors take."""
_SMALL_BYTES: Final = 4096
"""The size up to which a batch's outputs are kept, and counted, for the sake of one row."""
_NEVER: Final = 1 << 63
_DRAW: Final = 2
"""The salt of marks: which predictions are drawn has nothing to do with which ones are shadowed."""
Specs = Mapping[str, TensorSpec]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the server knows of predictions, and a recording does not."""

    alias_of: Callable[[Ticket], str] = lambda _: ""
    """Tells by which alias a prediction has found its version, "" if by none."""
    followers_of: Callable[[Ticket], int] = lambda _: 0
    """Tells how many shadows are to answer a prediction too."""
    status_codes: Mapping[str, int] = field(default_factory=dict)
    """What HTTP calls an end, by its status."""


class Recording:
    """Offers the predictions of one model to the writer. Called at the end of each, on the event loop: costs microseconds, never raises."""

    __slots__ = (
        "_alias_of",
        "_caller",
        "_followers_of",
        "_intake",
        "_keep",
        "_keep_errors",
        "_redaction",
        "_sample",
        "_slower_ns",
        "_status_codes",
        "_subject",
        "_threshold",
        "_undecided",
        "_wake",
    )

    def __init__(
        self,
        options: RecordingOptions,
        key: bytes,
        intake: Intake,
        wake: Callable[[], None],
        *,
        surroundings: Surroundings,
        undecided: Undecided,
    ) -> None:
        """`wake` is called when there is enough for the writer not to wait any longer; `key` is the secret of hashes."""
        self._sample = options.sample
        self._threshold = threshold_of(options.sample)
        self._keep_errors = options.keep_errors
        self._slower_ns = _NEVER if options.slower_ms is None else int(options.slower_ms * NS_PER_MS)
        self._keep = Keep(options.keep)
        self._redaction = Redaction(options.redact, key)
        self._subject = None if options.subject is None else SubjectKey(options.subject, key)
        self._caller = CallerColumn(options.caller, key)
        self._intake = intake
        self._wake = wake
        self._alias_of = surroundings.alias_of
        self._followers_of = surroundings.followers_of if options.keep_disagreements else None
        self._status_codes = surroundings.status_codes
        self._undecided = undecided

    def __call__(self, ticket: Ticket, status: str) -> None:
        """Hear of a prediction's end."""
        fraction = self._sample if self._threshold >= MARKS else self._fraction(ticket)
        waits = 0 if self._followers_of is None or fraction == 1.0 or ticket.outcome is not ANSWERED else self._followers_of(ticket)
        if not fraction and not waits:
            return
        try:
            offer = self._offer(ticket, status, fraction)
        except _Unredacted as fault:
            self._lose("redaction", fraction)
            _log.error("a prediction of %s is not recorded: %s", ticket.request.model, fault)
            return
        except Exception:
            self._lose("fault", fraction)
            _log.exception("a prediction could not be offered for its record for a reason of ours")
            return
        if waits:
            self._undecided.hold(ticket.request, offer, waits, self._put)
        elif self._intake.put(offer):
            self._wake()

    def _fraction(self, ticket: Ticket) -> float:
        try:
            return self.fraction(ticket)
        except Exception as error:  # an answer that no rule foresaw
            _log.error("whether a rule of keep holds cannot be told: %s", type(error).__name__)
            return self._drawn(ticket.request)

    def fraction(self, ticket: Ticket) -> float:
        """Return with which probability a prediction that ends like this one is recorded, or 0 if this one is not.

        The probability must be one that was fixed before the draw: that is why what a rule keeps has 1, also if the draw would have kept it
        (Horvitz and Thompson, 1952).
        """
        if (self._keep_errors and ticket.outcome is not ANSWERED) or ticket.timeline.total_ns > self._slower_ns:
            return 1.0
        if self._keep and ticket.response is not None and self._keep.holds(ticket.response.outputs, _specs_of(ticket)[1]):
            return 1.0
        return self._drawn(ticket.request)

    def _drawn(self, request: InferenceRequest) -> float:
        return self._sample if is_drawn(request, self._threshold) else 0.0

    def _lose(self, reason: str, fraction: float) -> None:
        if fraction:
            self._intake.lose(reason)

    def _put(self, offer: Offer) -> None:
        if self._intake.put(offer):
            self._wake()

    def _offer(self, ticket: Ticket, status: str, fraction: float) -> Offer:
        request, response, error = ticket.request, ticket.response, "" if ticket.error is None else ticket.error.message
        inputs = request.inputs
        outputs = [] if response is None else [own_rows(tensor, _SMALL_BYTES) for tensor in response.outputs]
        subject = ""
        if self._subject is not None or self._redaction.active:
            subject, inputs, outputs = self._private(ticket, inputs, outputs)
        if inputs is not request.inputs:  # which would be held all the same; and messages quote what they complain of
            request, error = replace(request, inputs=[]), ""
        size = _OVERHEAD_BYTES + held_bytes(inputs) + held_bytes(outputs)
        lease = ticket.lease
        identity, alias = (None, "") if lease is None else (lease.identity, self._alias_of(ticket))
        rows = 0 if response is None else response.batch_rows
        code = self._status_codes.get(status, 0)
        caller = "" if request.caller is None else self._caller.of(request.caller.name)
        return Offer(
            request,
            inputs,
            outputs,
            identity,
            alias,
            ticket.arm,
            status,
            error,
            ticket.timeline,
            rows,
            fraction,
            code,
            subject,
            size,
            caller,
        )

    def _private(self, ticket: Ticket, inputs: list[Tensor], outputs: list[Tensor]) -> tuple[str, list[Tensor], list[Tensor]]:
        """Return whose prediction it is, and what may be recorded of its tensors.

        Where the inputs should tell whose it is and do not, nothing of the tensors may be: nobody could find it to delete it.
        """
        known_inputs, known_outputs = _specs_of(ticket)
        try:
            subject = "" if self._subject is None else self._subject.of(ticket.request, known_inputs)
            if self._subject is not None and self._subject.input and not subject:
                return "", [], []
            if not self._redaction.active:
                return subject, inputs, outputs
            return subject, self._redaction.safe(inputs, known_inputs), self._redaction.safe(outputs, known_outputs)
        except TooManySubjects as error:
            raise _Unredacted("it names more subjects than are hashed on the event loop") from error
        except Exception as error:  # whose text may hold what is to be kept back, so that no log may show it
            raise _Unredacted(f"it cannot be redacted ({type(error).__name__})") from None


class _Unredacted(Exception):
    """A prediction cannot be recorded as the settings want it; the message holds none of its values."""


def is_drawn(request: InferenceRequest, threshold: int) -> bool:
    """Tell whether a request is among the drawn, those whose mark is below the threshold: the same on every replica and wire."""
    return mark_of(request.request_id or str(request.arrived_ns), _DRAW) < threshold


def _specs_of(ticket: Ticket) -> tuple[Specs, Specs]:
    """Return the inputs and outputs of the version that had a part in a prediction; where none had, nothing tells what tensors are."""
    schema = getattr(ticket.lease, "schema", None)
    return ({}, {}) if schema is None else (schema.input_named, schema.output_named)
