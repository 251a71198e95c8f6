"""What the ledger counts for the metrics."""

from penstock.domain.errors import DeadlineExceeded, Overloaded
from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Nobody
from penstock.lifecycle.version import ServedVersion
from penstock.telemetry.metrics import Metrics, ServerView


def test_refusals_go_on_being_counted_when_a_version_is_loaded_anew() -> None:
    """A counter that goes back looks like a restart: what is counted after it would be added to what was there before."""
    ledger = Ledger({"m"})
    for error in (Overloaded("full"), Overloaded("full"), DeadlineExceeded("late")):
        ticket = ledger.open(InferenceRequest("http", "m", "", []), Nobody())
        ticket.lease = ServedVersion(ModelVersion("m", "1"))  # another one each time, as after a reload
        ticket.fail(error)

    page, _ = Metrics(lambda: ServerView({}, {}, {}, failed=ledger.failed), list).scrape("")

    assert 'penstock_rejected_total{model="m",reason="queue_full"} 2.0' in page.decode()
    assert 'penstock_rejected_total{model="m",reason="deadline"} 1.0' in page.decode()
