"""What a scheduler wants done."""

from collections.abc import Sequence
from enum import StrEnum

from penstock.batching.job import Job


class Reason(StrEnum):
    """Why a batch started when it did."""

    __hash__ = str.__hash__  # an enumeration's own is Python, and reasons are counted for each batch

    FULL = "full"
    """It could not grow without costing throughput or the target."""
    IDLE = "idle"
    """A lane was free and waiting would not have paid."""
    GATE = "gate"
    """It had waited for company, and waiting had stopped to pay."""
    DEADLINE = "deadline"
    """A deadline or target in it left no time to grow."""
    BUCKET = "bucket"
    """It filled a size that the device has compiled."""
    SPILL = "spill"
    """The preferred device would have been too late."""
    RERUN = "rerun"
    """Part of a batch that failed, to find the offender."""
    DRAIN = "drain"
    """The version is closing."""


class Dispatch:
    """Run these jobs together in this lane."""

    __slots__ = (
        "begins_ns",
        "cost",
        "expected_ns",
        "here",
        "jobs",
        "lane",
        "length",
        "reason",
        "rows",
        "run_rows",
        "started_ns",
        "waited_ns",
    )

    def __init__(self, lane: int, jobs: Sequence[Job], rows: int, reason: Reason, started_ns: int) -> None:
        self.lane = lane
        self.jobs = jobs
        self.rows = rows
        self.reason = reason
        self.started_ns = started_ns
        self.begins_ns = started_ns
        """When the device begins: later than the start for a batch that is prepared beside another run."""
        self.run_rows = rows
        """Rows of the run, filled up to a size that the device has compiled."""
        self.length = 0
        """The length that shorter rows are padded to; 0 for rows that are not padded."""
        self.cost = rows
        """Elements of the run, padding included; its rows where nothing is padded. What the latency model goes by."""
        self.expected_ns = 0
        """What the latency model expects of the run; 0 if it knows nothing."""
        self.waited_ns = 0
        """How long the job at the head of the queue had waited."""
        self.here = False
        """Whether the run is shorter than a hop to a thread."""

    def __repr__(self) -> str:
        return f"<Dispatch {self.rows} rows in {len(self.jobs)} jobs to lane {self.lane}, {self.reason}>"


class Expire:
    """Tell the caller that the job's time has run out, or will before a run could end; it was not executed."""

    __slots__ = ("job",)

    def __init__(self, job: Job) -> None:
        self.job = job


class Blame:
    """Tell the caller that the job fails: it was run alone, and the lane is sound."""

    __slots__ = ("job",)

    def __init__(self, job: Job) -> None:
        self.job = job


class Lost:
    """Tell the caller that the lane is broken, which is no fault of the job."""

    __slots__ = ("job",)

    def __init__(self, job: Job) -> None:
        self.job = job


class Check:
    """Run the stored warm-up input in this lane, and report with `Scheduler.checked`."""

    __slots__ = ("lane",)

    def __init__(self, lane: int) -> None:
        self.lane = lane


Verdict = Blame | Lost | Check
Action = Dispatch | Expire | Verdict
