"""Who is remembered and what is taken: told by the ledger, refused while the record is behind, never a fault of the prediction."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from penstock.domain.errors import Conflict, InvalidInput, Overloaded
from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Tensor, TensorSpec
from penstock.domain.ticket import Ticket
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Nobody
from penstock.monitoring.feedback import Feedback
from penstock.monitoring.feedback_options import FeedbackOptions
from penstock.monitoring.recent_predictions import Reason
from penstock.monitoring.word import Word
from penstock.payloads.feedback_log import FeedbackLog
from penstock.payloads.options import PayloadOptions
from penstock.payloads.reading import rows_of

ON = FeedbackOptions(enabled=True)
LABEL = TensorSpec("label", DATATYPES["INT64"], (-1,))
SCHEMA = ModelSchema((), (LABEL,), batched=True)


class Lease:
    """A version that stays loaded."""

    def __init__(self, schema: ModelSchema = SCHEMA, version: str = "1") -> None:
        self.identity = ModelVersion("m", version, "d")
        self.schema = schema

    def release(self) -> None:
        """Keep it."""


class Site:
    """A ledger and the feedback on what it books."""

    def __init__(self, home: Path, **options: Any) -> None:
        self.ledger = Ledger({"m", "n"}, clock=lambda: 5)
        self.heard: list[str] = []
        self.log = FeedbackLog(PayloadOptions(flush_s=0.01, **options), home)
        self.feedback = Feedback(lambda model, party: self.ledger.record(model, party, "feedback"), self.log, home, lambda: 5)
        self.root = home / "payloads" / "feedback"

    def predict(self, request_id: str, label: np.ndarray | None = None, lease: Lease | None = None) -> Ticket:
        """Have a prediction answered."""
        ticket = self.ledger.open(InferenceRequest("http", "m", "", [], request_id=request_id, arrived_ns=1), Nobody())
        ticket.lease = lease or Lease()
        ticket.answer([Tensor("label", DATATYPES["INT64"], np.array([1]) if label is None else label)], 1)
        return ticket

    def rows(self) -> list[dict[str, Any]]:
        """Return what is recorded, once the files are finished."""
        self.log.close()
        return [row for path in sorted(self.root.rglob("*.jsonl")) for row in rows_of(path)]


def truth(request_id: str, *labels: int) -> Word:
    """A word that tells the labels."""
    return Word(request_id, (Tensor("label", DATATYPES["INT64"], np.array(labels)),))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """One that remembers the predictions of m."""
    site = Site(tmp_path)
    site.feedback.follow("m", ON, {})
    yield site
    site.log.close()


def test_a_prediction_of_a_model_without_feedback_is_told_to_nobody(tmp_path: Path) -> None:
    """Nothing is called at its end, so nothing is paid."""
    site = Site(tmp_path)
    site.feedback.follow("m", FeedbackOptions(), {})
    site.predict("a")

    assert [account.record for account in site.ledger._accounts.values()] == [None]
    with pytest.raises(Conflict, match=r"models\.m\.feedback\.enabled"):
        site.feedback.of("m")


def test_the_ledger_tells_two_parties_and_each_may_leave(site: Site) -> None:
    """The record of payloads and the memory of predictions do not know each other."""
    heard: list[str] = []
    site.ledger.record("m", lambda ticket, _: heard.append(ticket.request.request_id))
    site.predict("a")
    site.feedback.follow("m", FeedbackOptions(), {})
    site.predict("b")
    site.ledger.record("m", None)
    site.feedback.follow("m", ON, {})
    site.predict("c")

    assert heard == ["a", "b"]
    assert len(site.feedback.of("m").recent) == 1
    assert site.feedback.of("m").find("c") is not None


def test_a_row_of_a_batch_does_not_keep_the_batch(site: Site) -> None:
    """A view of a megabyte would be a megabyte that nobody counts."""
    batch = np.arange(1_000_000)
    site.predict("a", batch[5:6])

    prediction = site.feedback.of("m").find("a")

    assert prediction is not None
    assert prediction.predicted is not None
    assert prediction.predicted.base is None
    assert prediction.predicted.tolist() == [5]


def test_a_reload_of_another_schema_is_judged_by_its_own(site: Site) -> None:
    """What was remembered before is read as before."""
    site.predict("old")
    numbers = ModelSchema((), (TensorSpec("label", DATATYPES["FP32"], (-1,)),), batched=True)
    site.predict("new", np.array([1.5], np.float32), Lease(numbers))

    site.feedback.take("m", truth("old", 1))
    site.feedback.take("m", Word("new", (Tensor("label", DATATYPES["FP32"], np.array([1.0], np.float32)),)))

    assert site.feedback.of("m").quality.figures() == {("1", "stable"): {"rows": 2, "accuracy": 1.0, "mae": 0.5, "rmse": 0.5}}


def test_a_word_that_is_refused_has_not_been_taken(site: Site) -> None:
    """The right one still counts, and there is a row for what was taken only."""
    site.predict("a")
    with pytest.raises(InvalidInput, match="shape"):
        site.feedback.take("m", truth("a", 1, 2))

    assert site.feedback.take("m", truth("a", 1))[0] is Reason.JOINED
    assert site.feedback.outcomes == {("m", "refused"): 1, ("m", "joined"): 1}
    assert [row["outcome"] for row in site.rows()] == ["joined"]


def test_words_are_refused_while_the_record_is_behind_and_nothing_is_lost(tmp_path: Path) -> None:
    """Who is refused may come again: the prediction still waits for the word."""
    site = Site(tmp_path, max_bytes=0)
    site.feedback.follow("m", ON, {})
    site.predict("a")

    with pytest.raises(Overloaded) as refusal:
        site.feedback.take("m", truth("a", 1))

    assert refusal.value.retry_after_s == 1
    assert site.feedback.of("m").recent.find("a")[0] is Reason.JOINED


def test_a_disk_that_takes_nothing_is_counted_and_the_figures_stand(tmp_path: Path) -> None:
    """Written and dropped are all that was taken."""
    (tmp_path / "payloads").write_text("in the way")
    site = Site(tmp_path)
    site.feedback.follow("m", ON, {})
    site.predict("a")
    site.feedback.take("m", truth("a", 1))
    site.log.close()

    assert (site.log.written, site.log.dropped) == (0, {"io": 1})
    assert site.feedback.of("m").quality.figures() == {("1", "stable"): {"rows": 1, "accuracy": 1.0}}


def test_files_lie_beside_the_payloads_by_model_and_day(site: Site) -> None:
    """Private, sealed at the end, one line for each word."""
    site.predict("a")
    site.feedback.take("m", Word("a", (), 0.5))
    site.feedback.take("m", Word("gone", (), -1.0))

    first, second = site.rows()

    (path,) = site.root.rglob("*.jsonl")
    assert path.relative_to(site.root).parts[0] == "model=m"
    assert path.parent.name == f"date={first['timestamp'][:10]}"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (first["version"], first["route"], first["outcome"], first["reward"], first["truth"]) == ("1", "stable", "joined", 0.5, [])
    assert (second["request_id"], second["version"], second["outcome"], second["reward"]) == ("gone", "", "unknown", -1.0)


def test_nothing_is_written_where_no_feedback_is_wanted(tmp_path: Path) -> None:
    """Not even a directory is made, and no thread runs."""
    site = Site(tmp_path)
    site.feedback.follow("m", FeedbackOptions(), {})

    assert (site.log._writer._thread, list(tmp_path.iterdir())) == (None, [])


def test_the_truth_is_dropped_where_its_output_is(tmp_path: Path) -> None:
    """The reward and the ids stay."""
    site = Site(tmp_path)
    site.feedback.follow("m", ON, {"label": "drop"})
    site.predict("a")
    site.feedback.take("m", truth("a", 1))

    assert [(row["request_id"], row["truth"]) for row in site.rows()] == [("a", [])]


def test_a_fault_in_the_memory_costs_no_prediction(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """It is told in the log once."""
    broken: Callable[..., Any] = lambda *_: 1 / 0  # noqa: E731
    site.feedback.of("m")._keep = broken  # type: ignore[misc]

    tickets = [site.predict("a"), site.predict("b")]

    assert all(ticket.response is not None for ticket in tickets)
    assert len([record for record in caplog.records if "remembered" in record.message]) == 1


def test_new_settings_begin_anew_and_counters_never_go_back(site: Site) -> None:
    """A counter that went back would be a jump in every rate."""
    site.predict("a")
    site.feedback.take("m", truth("a", 1))
    site.feedback.follow("m", FeedbackOptions(enabled=True, window_rows=5), {})

    assert len(site.feedback.of("m").recent) == 0
    assert site.feedback.outcomes_of("m")["joined"] == 1
    site.feedback.follow("m", FeedbackOptions(enabled=True, window_rows=5), {})
    site.predict("b")
    assert len(site.feedback.of("m").recent) == 1


def test_a_prediction_that_failed_is_not_remembered(site: Site) -> None:
    """What was not answered can be neither right nor wrong."""
    ticket = site.ledger.open(InferenceRequest("http", "m", "", [], request_id="a", arrived_ns=1), Nobody())
    ticket.lease = SimpleNamespace(identity=ModelVersion("m", "1", "d"), release=lambda: None)
    ticket.fail(InvalidInput("no"))

    assert site.feedback.take("m", truth("a", 1))[0] is Reason.UNKNOWN


def test_the_truth_is_redacted_by_column_as_the_answers_are(site: Site) -> None:
    """A truth whose columns cannot be told, such as places of classes, is not recorded at all."""
    scores = TensorSpec("scores", DATATYPES["FP32"], (-1, 2), columns=("ham", "spam"))
    site.feedback.follow("m", ON, {"ham": "drop", "scores.spam": "bucket:0.5"})
    told = Tensor("scores", DATATYPES["FP32"], np.array([[0.25, 0.75]], np.float32))
    places = Tensor("scores", DATATYPES["INT64"], np.array([1]))
    for request_id, truth_of in (("a", told), ("b", places)):
        site.feedback.take("m", Word(request_id, (truth_of,), outputs=(scores,)))
    first, second = site.rows()
    assert [(cell["name"], cell["data"]) for cell in first["truth"]] == [("scores.spam", [0.5])]
    assert second["truth"] == []
