"""The latest batches, as the admin listener tells of them."""

from types import SimpleNamespace
from typing import Any, cast

from penstock.batching.actions import Dispatch, Reason
from penstock.batching.history import BatchHistory
from penstock.batching.job import Job, Key
from penstock.domain.clock import NS_PER_MS
from penstock.http.batch_report import batches_of
from penstock.lifecycle.catalog import ServedModel

JOB = Job({}, 1, Key(("Y",)))


class Served:
    """A model of one ready version, whose second lane is a GPU's, and the batches that a test makes up."""

    def __init__(self) -> None:
        self.name = "m"
        self.ready_versions = [3]
        self.history = BatchHistory()
        kinds = [SimpleNamespace(count=1), SimpleNamespace(count=1)]
        self.versions = {
            3: SimpleNamespace(
                identity=SimpleNamespace(version="3"),
                readiness=SimpleNamespace(options=SimpleNamespace(devices=["cpu", "cuda:0"])),
                batcher=SimpleNamespace(history=self.history, scheduler=SimpleNamespace(kinds=kinds)),
            )
        }

    def ran(self, ms: float, *, rows: int = 1, reason: Reason = Reason.IDLE, expected_ms: float = 1, failed: bool = False) -> Dispatch:
        """Note a batch in the second lane and return it."""
        run = Dispatch(1, [JOB] * rows, rows, reason, 0)
        run.expected_ns, run.waited_ns = int(expected_ms * NS_PER_MS), NS_PER_MS // 2
        self.history.add(run, int(ms * NS_PER_MS), failed=failed)
        return run

    def told(self, limit: int = 200) -> Any:
        """Return what is told of the version."""
        document = cast(Any, batches_of(cast(ServedModel, self), "", limit))
        assert document["name"] == "m"
        (version,) = document["versions"]
        assert version["version"] == "3"
        return version


def test_batch_is_told_in_units_for_people() -> None:
    """Milliseconds and percent, the device by its name, the error with its sign."""
    served = Served()
    served.ran(0.75, rows=3, reason=Reason.FULL)

    (batch,) = served.told()["batches"]

    assert batch.pop("at") > 1_700_000_000
    assert batch == {
        "reason": "full",
        "device": "cuda:0",
        "lane": 1,
        "rows": 3,
        "padded_rows": 0,
        "length": None,
        "padding": 0,
        "requests": 3,
        "waited_ms": 0.5,
        "predicted_ms": 1.0,
        "real_ms": 0.75,
        "error_percent": -25.0,
        "inline": False,
        "failed": False,
    }


def test_summary_is_of_the_batches_listed() -> None:
    """Share by reason, mean rows, and the median of the errors without their sign; neither failures nor the unpredicted count there."""
    served = Served()
    served.ran(50, reason=Reason.DRAIN)  # beyond the limit
    served.ran(0.7, rows=2)
    served.ran(1.1, rows=4)
    served.ran(1.2, rows=5, reason=Reason.FULL)
    served.ran(9, reason=Reason.RERUN, failed=True)
    served.ran(9, reason=Reason.FULL, expected_ms=0)

    told = served.told(limit=5)

    assert len(told["batches"]) == 5
    assert told["summary"] == {
        "batches": 5,
        "failed": 1,
        "mean_rows": 2.6,
        "share": {"full": 0.4, "rerun": 0.2, "idle": 0.4},
        "error_percent": 20.0,
    }
    assert next(iter(told["summary"]["share"].values())) == 0.4


def test_version_that_has_run_nothing_has_nothing_to_tell() -> None:
    """No mean of nothing."""
    assert Served().told() == {
        "version": "3",
        "summary": {"batches": 0, "failed": 0, "mean_rows": None, "share": {}, "error_percent": None},
        "batches": [],
    }
