"""Which models are recorded, how, and by whom: each sink has a writer of its own."""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from penstock.domain.ticket import Ticket
from penstock.payloads.key import key_of
from penstock.payloads.options import PayloadOptions, RecordingOptions
from penstock.payloads.recording import Recording, Surroundings
from penstock.payloads.sink import Sink
from penstock.payloads.undecided import Undecided
from penstock.payloads.writer import Writer

_log = logging.getLogger(__name__)
_LAST_ROWS_S: Final = 5.0
Attach = Callable[[str, Callable[[Ticket, str], None] | None], None]
"""Has a model's predictions offered to somebody at their end, or to nobody."""


class Recorder:
    """What is recorded, of which models. Lives on the event loop."""

    def __init__(
        self,
        make: Callable[[str], Sink],
        options: PayloadOptions,
        state_dir: Path,
        attach: Attach,
        *,
        surroundings: Surroundings,
        redacted: set[str],
    ) -> None:
        """`make` returns the sink of a name; `redacted` is told the models of which something is kept back."""
        self._make = make
        self._options = options
        self._state_dir = state_dir
        self._attach = attach
        self._surroundings = surroundings
        self.undecided: Final = Undecided(options.max_bytes)
        self._redacted = redacted
        self._settings: dict[str, RecordingOptions] = {}
        self._in_force: dict[str, RecordingOptions] = {}
        self._writers: dict[str, Writer] = {}
        self._started = False

    @property
    def writers(self) -> Mapping[str, Writer]:
        """The writers of the sinks that have been asked for, by the sink's name."""
        return self._writers

    def sink_of(self, model: str) -> str:
        """Return the name of the sink that a model's rows go to."""
        return self.in_force(model).sink or self._options.sink

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

    def start(self) -> None:
        """Begin to write as soon as anything is recorded."""
        self._started = True
        for writer in self._writers.values():
            writer.start()

    def close(self, within_s: float = _LAST_ROWS_S) -> None:
        """Write what waits and finish the files; what takes longer is given up, counted, and told in the log. Blocks."""
        self.undecided.flush()  # before the writers stop: no shadow answers any more
        until_s = time.monotonic() + within_s
        for writer in self._writers.values():
            writer.stop()
        for writer in self._writers.values():
            writer.join(max(0.0, until_s - time.monotonic()))

    def _recording(self, options: RecordingOptions) -> Recording:
        key = key_of(self._state_dir) if options.needs_key else b""
        writer = self._writer(options.sink or self._options.sink)
        return Recording(options, key, writer.intake, writer.hurry, surroundings=self._surroundings, undecided=self.undecided)

    def _writer(self, sink: str) -> Writer:
        writer = self._writers.get(sink)
        if writer is None:
            writer = self._writers[sink] = Writer(sink, partial(self._make, sink), self._options)
        if self._started:
            writer.start()
        return writer
