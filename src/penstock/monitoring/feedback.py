"""The feedback on all models: who is remembered, and what is said of them, judged at once and recorded."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from penstock.domain.clock import NS_PER_US, Clock, monotonic
from penstock.domain.errors import Conflict, PenstockError
from penstock.domain.names import shown
from penstock.domain.ticket import Ticket
from penstock.monitoring.feedback_options import FeedbackOptions
from penstock.monitoring.model_feedback import ModelFeedback
from penstock.monitoring.recent_predictions import Prediction, Reason
from penstock.monitoring.word import Word
from penstock.payloads.feedback_log import FeedbackLog
from penstock.payloads.feedback_record import FeedbackRecord
from penstock.payloads.key import key_of
from penstock.payloads.redaction import Redaction

_log = logging.getLogger(__name__)
REFUSED: Final = "refused"
"""The outcome of a word that could not be taken; the others are those of `Reason`."""
Attach = Callable[[str, Callable[[Ticket, str], None] | None], None]
"""Has the ends of a model's predictions told to somebody, or to nobody."""


class Feedback:
    """Lives on the event loop."""

    def __init__(self, attach: Attach, log: FeedbackLog, state_dir: Path, clock: Clock = monotonic) -> None:
        self.log: Final = log
        self.outcomes: Final[Counter[tuple[str, str]]] = Counter()
        """Words by (model, what became of them); they never go back, whatever is set anew."""
        self._attach = attach
        self._state_dir = state_dir
        self._clock = clock
        self._models: dict[str, ModelFeedback] = {}
        self._redactions: dict[str, Redaction] = {}

    def __iter__(self) -> Iterator[ModelFeedback]:
        return iter([self._models[name] for name in sorted(self._models)])

    def follow(self, model: str, options: FeedbackOptions, redact: Mapping[str, str]) -> None:
        """Remember a model's predictions as its settings say; whoever sets them anew begins with nothing remembered.

        The truth is recorded under the rules that hold for the outputs of the same names.
        """
        there = self._models.get(model)
        if options.enabled:
            self._redactions[model] = self._redaction(model, redact)
        if (None if there is None else there.options) == (options if options.enabled else None):
            return
        self._models.pop(model, None)
        self._attach(model, None)
        if options.enabled:
            self._models[model] = ModelFeedback(model, options, self._clock)
            self._attach(model, self._models[model])

    def of(self, model: str) -> ModelFeedback:
        """Return what is known of a model's answers; raises `Conflict` if nobody has asked for it."""
        found = self._models.get(model)
        if found is None:
            raise Conflict(f"feedback on {shown(model)} is off; set models.{model}.feedback.enabled = true, and ask the model again")
        return found

    def get(self, model: str) -> ModelFeedback | None:
        """Return the same, or None."""
        return self._models.get(model)

    def take(self, model: str, word: Word) -> tuple[Reason, Prediction | None]:
        """Judge and record one word; returns what became of it, and the prediction if that is remembered.

        Raises `Conflict`, `InvalidInput` for a truth that does not fit its prediction, and `Overloaded` while the record is behind: then
        nothing was taken, and the word counts as refused.
        """
        found = self.of(model)
        try:
            self.log.check_room()
            reason, prediction = found.take(word)
        except PenstockError:
            self.refuse(model)
            raise
        self.outcomes[model, reason] += 1
        self.log.put(self._record(model, word, reason, prediction))
        return reason, prediction

    def refuse(self, model: str) -> None:
        """Count a word that cannot even be read."""
        self.outcomes[model, REFUSED] += 1

    def outcomes_of(self, model: str) -> dict[str, int]:
        """Return how many words on a model have come, by what became of them."""
        return {str(outcome): self.outcomes[model, outcome] for outcome in (*Reason, REFUSED)}

    def _record(self, model: str, word: Word, reason: Reason, prediction: Prediction | None) -> FeedbackRecord:
        redaction, truth = self._redactions[model], list(word.truth)
        if redaction.active:
            truth = redaction.safe(truth, {spec.name: spec for spec in word.outputs})
        version, arm = ("", "") if prediction is None else prediction[:2]
        at_us = time.time_ns() // NS_PER_US
        return FeedbackRecord(word.request_id, at_us, model, version, arm, str(reason), word.reward, truth)

    def _redaction(self, model: str, redact: Mapping[str, str]) -> Redaction:
        try:
            return Redaction(redact, key_of(self._state_dir) if "hash" in redact.values() else b"")
        except OSError as error:  # nothing is recorded of the truth rather than too much
            _log.error("the truth about %s is not recorded: the key of its hashes cannot be kept: %s", model, error.strerror)
            return Redaction({"*": "drop"}, b"")
