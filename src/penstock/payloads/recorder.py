"""Records predictions beside the server's work: offered on the event loop, encoded and written on a thread of its own.

accepted = written + dropped + waiting, always: each prediction that was to be recorded is written or counted as dropped, with the reason.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from penstock.domain.clock import monotonic
from penstock.domain.records import PayloadRecord
from penstock.domain.ticket import Ticket
from penstock.payloads.intake import Intake
from penstock.payloads.key import key_of
from penstock.payloads.offer import Offer
from penstock.payloads.options import PayloadOptions, RecordingOptions
from penstock.payloads.recording import Recording, Surroundings
from penstock.payloads.sink import Sink, SinkFailed
from penstock.payloads.undecided import Undecided

_log = logging.getLogger(__name__)
_BLOCK: Final = 256
"""Rows that are encoded and written together."""
_LAST_ROWS_S: Final = 5.0
_QUIET_S: Final = 30.0
"""How long a sink that fails is not told of again."""
Attach = Callable[[str, Callable[[Ticket, str], None] | None], None]
"""Has a model's predictions offered to somebody at their end, or to nobody."""


class Recorder:
    """What is recorded, of which models. Lives on the event loop, but for `_work` and what it calls."""

    def __init__(
        self,
        sink: Sink,
        options: PayloadOptions,
        state_dir: Path,
        attach: Attach,
        *,
        surroundings: Surroundings,
        redacted: set[str],
    ) -> None:
        """`redacted` is told the models of which something is kept back."""
        self.intake: Final = Intake(options.max_bytes)
        self.sink: Final = sink
        self.written = 0
        """Rows that the sink has taken; the writer's."""
        self._lost: Counter[str] = Counter()
        """Rows that were taken from the queue and not written, by reason; the writer's."""
        self._options = options
        self._headers = tuple(name.lower() for name in options.headers)
        self._state_dir = state_dir
        self._attach = attach
        self._surroundings = surroundings
        self.undecided: Final = Undecided(options.max_bytes)
        self._redacted = redacted
        self._settings: dict[str, RecordingOptions] = {}
        self._in_force: dict[str, RecordingOptions] = {}
        self._wake = threading.Event()
        self._started = self._stopping = False
        self._writer: threading.Thread | None = None
        self._told_s = -_QUIET_S

    @property
    def dropped(self) -> Mapping[str, int]:
        """Predictions that were to be recorded and are not, by reason."""
        return self.intake.dropped + Counter(dict(self._lost))  # a copy at once: the writer may find a new reason meanwhile

    def in_force(self, model: str) -> RecordingOptions:
        """Return what is recorded of a model."""
        return self._in_force.get(model, RecordingOptions())

    def follow(self, model: str, options: RecordingOptions) -> None:
        """Record a model as its settings say; what was changed meanwhile holds until the settings themselves change."""
        if self._settings.get(model) == options:
            return
        self._settings[model] = options
        try:
            self.change(model, options)
        except OSError as error:  # nothing is recorded rather than too much
            _log.error("the predictions of %s are not recorded: the key of its hashes cannot be kept: %s", model, error.strerror)

    def change(self, model: str, options: RecordingOptions) -> None:
        """Record a model in another way, from now on. Raises `OSError` if hashes are asked for and their key cannot be kept."""
        self._in_force[model] = options
        (self._redacted.add if options.redact else self._redacted.discard)(model)
        self._attach(model, None)
        if options.records:
            self._attach(model, self._recording(options))
            if self._started:
                self._begin()

    def start(self) -> None:
        """Begin to write as soon as anything is recorded."""
        self._started = True
        if any(options.records for options in self._in_force.values()):
            self._begin()

    def close(self, within_s: float = _LAST_ROWS_S) -> None:
        """Write what waits and finish the files; what takes longer is given up, and told in the log. Blocks."""
        self.undecided.flush()
        self._stopping = True
        self._wake.set()
        if self._writer is not None:
            self._writer.join(within_s)
            if self._writer.is_alive():
                _log.error("%d recorded predictions could not be written in time", len(self.intake))

    def _recording(self, options: RecordingOptions) -> Recording:
        key = key_of(self._state_dir) if options.needs_key else b""
        return Recording(options, key, self.intake, self._hurry, surroundings=self._surroundings, undecided=self.undecided)

    def _hurry(self) -> None:
        if not self._wake.is_set():
            self._wake.set()

    def _begin(self) -> None:
        if self._writer is None:
            self._writer = threading.Thread(target=self._work, name="penstock-payloads", daemon=True)
            self._writer.start()

    def _work(self) -> None:
        while not self._stopping:
            self._wake.wait(self._options.flush_s)
            self._wake.clear()
            self._turn()
        self._turn()
        self._ask(self.sink.close)

    def _turn(self) -> None:
        """Write what waits by now: more may always come, and the sink has to be asked in between."""
        for _ in range(0, len(self.intake), _BLOCK):
            offers = self.intake.take(_BLOCK)
            self._write(offers)
            self.intake.give_back(offers)
        self._ask(self.sink.flush)

    def _write(self, offers: list[Offer]) -> None:
        records = self._records(offers)
        lost = self._ask(lambda: self.sink.write(records), len(records))
        self._lost.update(lost)
        self.written += len(records) - sum(lost.values())

    def _records(self, offers: list[Offer]) -> list[PayloadRecord]:
        """Return what may be written; what cannot be redacted is not."""
        epoch_ns = time.time_ns() - monotonic()
        records = []
        for offer in offers:
            try:
                records.append(offer.record(epoch_ns, self._headers))
            except Exception:
                self._lost["redaction"] += 1
                _log.error("a prediction of %s cannot be redacted, so it is not recorded", offer.request.model)
        return records

    def _ask(self, act: Callable[[], None], rows: int = 0) -> Mapping[str, int]:
        """Have the sink do something; returns what is lost by it, by reason."""
        try:
            act()
        except SinkFailed as failure:
            self._tell(failure)
            return failure.lost
        except Exception:
            _log.exception("payloads cannot be recorded for a reason of ours")
            return {"fault": rows}
        return {}

    def _tell(self, failure: SinkFailed) -> None:
        """Say what is lost, not more often than anybody reads."""
        now_s = time.monotonic()
        if now_s - self._told_s >= _QUIET_S:
            self._told_s = now_s
            _log.warning("payloads are not recorded: %s; predictions go on, what is lost is counted", failure)
