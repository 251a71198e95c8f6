"""What is known of one model's answers: those that may still be judged, and the figures of those that were."""

import logging
from typing import Final

from penstock.domain.clock import Clock, monotonic
from penstock.domain.errors import InvalidInput
from penstock.domain.route import branch_of
from penstock.domain.schema import ModelSchema
from penstock.domain.ticket import Ticket
from penstock.monitoring.feedback_options import FeedbackOptions
from penstock.monitoring.judging import judge
from penstock.monitoring.quality import Quality
from penstock.monitoring.recent_predictions import Prediction, Reason, RecentPredictions
from penstock.monitoring.target import Target, target_of
from penstock.monitoring.word import Word

_log = logging.getLogger(__name__)


class ModelFeedback:
    """Remembers predictions at their end, and takes what is said of them. Lives on the event loop."""

    def __init__(self, model: str, options: FeedbackOptions, clock: Clock = monotonic) -> None:
        self.model: Final = model
        self.options: Final = options
        self.recent: Final = RecentPredictions(options.max_bytes, options.keep_s, clock)
        self.quality: Final = Quality(options.window_rows, window_s=options.window_s, clock=clock)
        self._targets: Final[list[Target]] = []
        self._target_of: Final[dict[str, tuple[ModelSchema, str, str, int]]] = {}
        """By version: its schema, what is looked for in its answers, and the number of its target."""
        self._faulty = False
        self._keep: Final = self.recent.keep

    def __call__(self, ticket: Ticket, _status: str) -> None:
        """Hear of a prediction's end; what was not answered can be neither right nor wrong. Costs a microsecond or two, never raises."""
        response = ticket.response
        if response is None:
            return
        try:
            version, schema = response.version.version, ticket.lease.schema  # type: ignore[union-attr]
            known, output, scores, target = self._target_of.get(version) or self._met(version, schema)
            if known is not schema:
                known, output, scores, target = self._met(version, schema)
            predicted = given = None
            for tensor in response.outputs:
                array = tensor.array
                if tensor.name == output:
                    predicted = array if array.base is None else array.copy()  # a view would keep the others of its batch
                elif tensor.name == scores:
                    given = array if array.base is None else array.copy()
            at_ns = ticket.request.arrived_ns + ticket.timeline.total_ns
            self._keep(response.request_id, at_ns, version, response.arm, predicted, given, target)
        except Exception:
            if not self._faulty:
                _log.exception("predictions of %s cannot be remembered for a reason of ours", self.model)
            self._faulty = True

    def find(self, request_id: str) -> Prediction | None:
        """Return the prediction that a word would be about, if it is still there."""
        return self.recent.find(request_id)[1]

    def schema_of(self, prediction: Prediction) -> ModelSchema:
        """Return the schema of the version that answered."""
        return self._targets[prediction.target].schema

    def take(self, word: Word) -> tuple[Reason, Prediction | None]:
        """Judge the prediction that a word is about, once; returns what became of the word, and the prediction if it is known.

        Raises `InvalidInput` for a truth that the prediction cannot be compared with; then nothing was taken.
        """
        self.recent.expire()
        reason, prediction = self.recent.find(word.request_id)
        if reason is Reason.JOINED and prediction is not None:
            self._judge(word, prediction)
        self.recent.heard(word.request_id)
        return reason, prediction

    def figures_by_branch(self) -> dict[tuple[str, str], dict[str, float]]:
        """Return the figures by version and branch of the route, as metrics name it."""
        self.recent.expire()
        return self.quality.figures_by(branch_of)

    def _judge(self, word: Word, prediction: Prediction) -> None:
        window = self.quality.window(prediction.version, prediction.arm)
        if word.reward is not None:
            window.rewarded(word.reward)
            return
        try:
            judge(self._targets[prediction.target], prediction, word.truth, window)
        except ValueError as error:
            raise InvalidInput(str(error)) from error

    def _met(self, version: str, schema: ModelSchema) -> tuple[ModelSchema, str, str, int]:
        target = target_of(schema, self.options)
        if target not in self._targets:
            self._targets.append(target)
        if target.note:
            _log.warning("feedback on %s/%s is judged by rewards alone: %s", self.model, version, target.note)
        self._target_of[version] = schema, target.output, target.scores, self._targets.index(target)
        return self._target_of[version]
