"""The batcher: tickets in, runs out, ends back to their tickets; lanes are finished by hand and time stands still."""

import asyncio
import contextlib
import gc
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from penstock.batching.batcher import Batcher
from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.place import RunPlace
from penstock.batching.work import Piece, Work
from penstock.domain.batch import Batch, Run
from penstock.domain.clock import NS_PER_MS, NS_PER_S
from penstock.domain.errors import DeadlineExceeded, ModelFailed, Overloaded, PenstockError, TooLarge, Unavailable
from penstock.domain.model import ModelVersion
from penstock.domain.outcome import Outcome
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array, Tensor, TensorSpec
from penstock.domain.ticket import Ticket
from penstock.telemetry.statistics import VersionStatistics

FP32, BYTES = DATATYPES["FP32"], DATATYPES["BYTES"]
SCHEMA = ModelSchema((TensorSpec("X", FP32, (-1, 2)),), (TensorSpec("Y", FP32, (-1, 2)),), batched=True)
POISON = -1.0


class FakeClock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * NS_PER_S

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ns


class FakeLanes:
    """Lanes whose runs a test finishes: each answers with its input, and fails where a value is poison."""

    def __init__(self, count: int, clock: FakeClock) -> None:
        self.count = count
        self._clock = clock
        self.stored: Batch | None = None
        self.started: list[tuple[int, Batch]] = []
        """Every run that was ever started on a thread."""
        self.here: list[Batch] = []
        """Every run on the event loop."""
        self._running: dict[int, tuple[Batch, Callable[[Run], None]]] = {}

    def run_here(self, lane: int, batch: Batch) -> Run:
        """Run at once."""
        assert lane not in self._running, "the lane is busy"
        self.here.append(batch)
        return self._outcome(batch)

    def run(self, lane: int, batch: Batch, done: Callable[[Run], None]) -> None:
        """Start a run."""
        assert lane not in self._running, "the lane is busy"
        self.started.append((lane, batch))
        self._running[lane] = (batch, done)

    def finish(self, run: Run | None = None) -> None:
        """Finish the oldest run, as the arrays say or with what is given; its time passes."""
        lane = next(iter(self._running))
        batch, done = self._running.pop(lane)
        run = run or self._outcome(batch)
        self._clock.now_ns += run.infer_ns
        done(run)

    async def finish_all(self) -> None:
        """Finish runs until none is left."""
        await turn()
        while self._running:
            self.finish()
            await turn()

    @property
    def busy(self) -> bool:
        """Whether anything runs."""
        return bool(self._running)

    @property
    def sizes(self) -> list[int]:
        """Rows of every run so far."""
        return [batch.rows for _, batch in self.started]

    def _outcome(self, batch: Batch) -> Run:
        stacked = batch.stack()["X"]
        if stacked.dtype.kind == "f" and (stacked == POISON).any():
            return Run(error=ModelFailed("poison"), infer_ns=NS_PER_MS)
        return Run(outputs=batch.split([stacked]), infer_ns=NS_PER_MS)


class FakeReply:
    """Keeps everything that it hears."""

    def __init__(self) -> None:
        self.heard: list[InferenceResponse | PenstockError] = []

    def answer(self, response: InferenceResponse) -> None:
        """Keep the answer."""
        self.heard.append(response)

    def fail(self, error: PenstockError) -> None:
        """Keep the error."""
        self.heard.append(error)

    @property
    def array(self) -> Array:
        """The first output of the only answer."""
        (response,) = self.heard
        assert isinstance(response, InferenceResponse)
        return response.outputs[0].array

    @property
    def error(self) -> PenstockError:
        """The only thing heard, which is an error."""
        (error,) = self.heard
        assert isinstance(error, PenstockError)
        return error


class FakeLease:
    """Counts how often it is given back."""

    identity = ModelVersion("m", "1")

    def __init__(self) -> None:
        self.released = 0

    def release(self) -> None:
        """Count."""
        self.released += 1


class Desk:
    """A batcher over fake lanes, and the tickets that a test hands in."""

    def __init__(self, schema: ModelSchema, limits: BatchLimits, lanes: int, *, hop_ns: int = 0, stored: Batch | None = None) -> None:
        self.clock = FakeClock()
        self.lanes = FakeLanes(lanes, self.clock)
        self.lanes.stored = stored
        self.statistics = VersionStatistics()
        kind = LaneKind(lanes, LatencyModel(), place=RunPlace(hop_ns, {4: NS_PER_MS}))
        self.batcher = Batcher(schema, limits, [kind], self.lanes, self.statistics, slo_ms=100, clock=self.clock)
        self.ended: list[Ticket] = []

    def hand_in(self, array: Array, *, timeout_ns: int | None = 30 * NS_PER_S, datatype: str = "FP32") -> Ticket:
        """Queue one request."""
        request = InferenceRequest("http", "m", "", [Tensor("X", DATATYPES[datatype], array)])
        request.arrived_ns = self.clock.now_ns
        request.deadline_ns = None if timeout_ns is None else request.arrived_ns + timeout_ns
        ticket = Ticket(request, FakeReply(), self.ended.append, self.clock)
        ticket.lease = FakeLease()
        self.batcher.arrive(ticket)
        return ticket

    @property
    def idle(self) -> bool:
        """Whether nothing waits, nothing runs and nobody needs to be woken."""
        scheduler = self.batcher.scheduler
        waits = scheduler.backlog.jobs, scheduler.backlog.rows, scheduler.backlog.size_bytes, scheduler.running
        return waits == (0, 0, 0, 0) and scheduler.next_wakeup_ns is None


MakeDesk = Callable[..., Desk]


def rows(*tags: float) -> Array:
    """Return one row of two equal values for each tag."""
    return np.array([[tag, tag] for tag in tags], dtype=np.float32).reshape(-1, 2)


def heard(ticket: Ticket) -> FakeReply:
    """Return the ticket's reply."""
    assert isinstance(ticket.reply, FakeReply)
    return ticket.reply


def answers(tickets: Sequence[Ticket]) -> list[list[list[float]]]:
    """Return the answered rows of each ticket."""
    return [heard(ticket).array.tolist() for ticket in tickets]


async def turn() -> None:
    """Let the event loop do what is due."""
    for _ in range(6):
        await asyncio.sleep(0)


@pytest.fixture
def make_desk() -> MakeDesk:
    """Return a function that builds a batcher with a queue for 16 rows."""

    def make(*, max_rows: int = 8, queue_rows: int = 16, lanes: int = 1, schema: ModelSchema = SCHEMA) -> Desk:
        return Desk(schema, BatchLimits(max_rows, queue_rows, 10_000), lanes)

    return make


@pytest.mark.asyncio
async def test_requests_of_one_loop_turn_share_a_batch(make_desk: MakeDesk) -> None:
    """What is read in the same turn meets before the scheduler decides, although a lane is free."""
    desk = make_desk(lanes=2)

    tickets = [desk.hand_in(rows(tag)) for tag in (1, 2, 3)]
    await desk.lanes.finish_all()

    assert desk.lanes.sizes == [3]
    assert answers(tickets) == [rows(tag).tolist() for tag in (1, 2, 3)]
    assert [ticket.response.batch_rows for ticket in tickets if ticket.response] == [3, 3, 3]
    assert desk.idle


@pytest.mark.asyncio
async def test_outage_is_told_at_once(make_desk: MakeDesk) -> None:
    """While nothing can run, nobody waits in the queue for it; when that is over, requests are taken in again."""
    desk = make_desk()
    desk.batcher.outage = lambda: Unavailable("the model rests", retry_after_s=7)

    with pytest.raises(Unavailable, match="the model rests"):
        desk.hand_in(rows(1))

    desk.batcher.outage = None
    ticket = desk.hand_in(rows(2))
    await desk.lanes.finish_all()
    assert answers([ticket]) == [rows(2).tolist()]
    assert desk.idle


@pytest.mark.asyncio
async def test_run_that_could_not_be_started_looks_for_no_offender(make_desk: MakeDesk) -> None:
    """All of its requests are told why; nothing is run again, and the lane is free for the next."""
    desk = make_desk()
    tickets = [desk.hand_in(rows(tag)) for tag in (1, 2, 3)]
    await turn()

    desk.lanes.finish(Run(error=Unavailable("the model rests")))
    await turn()

    assert [type(heard(ticket).error) for ticket in tickets] == [Unavailable] * 3
    assert desk.lanes.sizes == [3]
    assert desk.idle


@pytest.mark.asyncio
async def test_reruns_are_marked(make_desk: MakeDesk) -> None:
    """A session hears which rows have failed before; those of a first run have not."""
    desk = make_desk()
    for tag in (1, POISON):
        desk.hand_in(rows(tag))
    await desk.lanes.finish_all()

    assert [(batch.rows, batch.again) for _, batch in desk.lanes.started] == [(2, False), (1, True), (1, True)]


@pytest.mark.asyncio
async def test_batches_grow_while_the_lane_is_busy(make_desk: MakeDesk) -> None:
    """What comes during a run forms the next batch."""
    desk = make_desk()
    desk.hand_in(rows(1))
    await turn()

    for tag in (2, 3, 4):
        desk.hand_in(rows(tag))
        await turn()
    await desk.lanes.finish_all()

    assert desk.lanes.sizes == [1, 3]
    assert desk.idle


@pytest.mark.asyncio
async def test_answers_are_never_mixed_between_callers(make_desk: MakeDesk) -> None:
    """Requests of all sizes, over several lanes and batches, each get exactly their own rows."""
    desk = make_desk(max_rows=5, queue_rows=1000, lanes=3)
    arrays = [rows(*(1000 * caller + row for row in range(caller % 13))) for caller in range(60)]

    tickets = []
    for array in arrays:
        tickets.append(desk.hand_in(array))
        if len(tickets) % 7 == 0:
            await turn()
    await desk.lanes.finish_all()

    assert answers(tickets) == [array.tolist() for array in arrays]
    assert max(desk.lanes.sizes) <= 5
    assert desk.idle


@pytest.mark.asyncio
async def test_deadline_that_passes_in_the_queue_is_refused_without_a_run(make_desk: MakeDesk) -> None:
    """Expiry needs no free lane; the row is not executed, now or later."""
    desk = make_desk()
    first = desk.hand_in(rows(1))
    await turn()
    late = desk.hand_in(rows(2), timeout_ns=5 * NS_PER_MS)
    await turn()

    desk.clock.now_ns += 6 * NS_PER_MS
    desk.hand_in(rows(3))
    await turn()

    error = heard(late).error
    assert isinstance(error, DeadlineExceeded)
    assert "after 6 ms in the queue; it was not executed" in error.message
    assert heard(first).heard == []
    await desk.lanes.finish_all()
    assert [batch.stack()["X"][:, 0].tolist() for _, batch in desk.lanes.started] == [[1], [3]]
    assert late.outcome is Outcome.EXPIRED
    assert desk.idle


@pytest.mark.asyncio
async def test_alarm_expires_a_waiting_request_without_any_other_event(make_desk: MakeDesk) -> None:
    """The batcher wakes itself at the earliest deadline."""
    desk = make_desk()
    desk.hand_in(rows(1))
    await turn()
    late = desk.hand_in(rows(2), timeout_ns=1)
    await turn()

    desk.clock.now_ns += 1
    async with asyncio.timeout(10):
        while late.outcome is None:  # noqa: ASYNC110 - the alarm is the loop's own
            await asyncio.sleep(0)

    assert isinstance(heard(late).error, DeadlineExceeded)


@pytest.mark.asyncio
async def test_deadline_that_passed_before_the_queue_is_refused_at_once(make_desk: MakeDesk) -> None:
    """A request that is too late on arrival is not queued."""
    desk = make_desk()

    with pytest.raises(DeadlineExceeded, match="not executed"):
        desk.hand_in(rows(1), timeout_ns=0)

    await turn()
    assert desk.lanes.started == []
    assert desk.idle


@pytest.mark.asyncio
async def test_request_without_a_deadline_never_expires(make_desk: MakeDesk) -> None:
    """Waiting alone ends nobody: the target orders the queue and is no deadline."""
    desk = make_desk()
    desk.hand_in(rows(1), timeout_ns=None)
    await turn()
    patient = desk.hand_in(rows(2), timeout_ns=None)

    desk.clock.now_ns += 10**6 * NS_PER_S
    await desk.lanes.finish_all()

    assert heard(patient).array.tolist() == rows(2).tolist()


@pytest.mark.asyncio
async def test_request_cancelled_in_the_queue_never_runs(make_desk: MakeDesk) -> None:
    """Its rows are not executed and its reply is never called."""
    desk = make_desk()
    desk.hand_in(rows(1))
    await turn()
    gone = desk.hand_in(rows(2))
    mate = desk.hand_in(rows(3))
    await turn()

    gone.cancel()
    await desk.lanes.finish_all()

    assert heard(gone).heard == []
    assert gone.outcome is Outcome.CANCELLED
    assert heard(mate).array.tolist() == rows(3).tolist()
    assert desk.lanes.sizes == [1, 1]
    assert desk.idle


@pytest.mark.asyncio
async def test_request_cancelled_in_flight_is_dropped_and_its_mates_answered(make_desk: MakeDesk) -> None:
    """A caller who leaves during the run neither hears of it nor holds up the batch."""
    desk = make_desk()
    gone, mate = desk.hand_in(rows(1)), desk.hand_in(rows(2))
    await turn()

    gone.cancel()
    await desk.lanes.finish_all()

    assert heard(gone).heard == []
    assert heard(mate).array.tolist() == rows(2).tolist()
    assert isinstance(gone.lease, FakeLease)
    assert gone.lease.released == 1
    assert desk.idle


@pytest.mark.asyncio
async def test_request_cancelled_in_flight_is_not_run_again_when_its_batch_fails(make_desk: MakeDesk) -> None:
    """A rerun is for those who still wait."""
    desk = make_desk()
    poison, gone = desk.hand_in(rows(POISON)), desk.hand_in(rows(2))
    await turn()

    gone.cancel()
    await desk.lanes.finish_all()

    assert isinstance(heard(poison).error, ModelFailed)
    assert desk.lanes.sizes == [2, 1]
    assert desk.idle


@pytest.mark.parametrize("offender", range(8))
@pytest.mark.asyncio
async def test_failed_batch_fails_only_its_offender(make_desk: MakeDesk, offender: int) -> None:
    """The batch is halved until the bad row is alone; all others get their answers."""
    desk = make_desk()
    tags = [POISON if caller == offender else float(caller) for caller in range(8)]

    tickets = [desk.hand_in(rows(tag)) for tag in tags]
    await desk.lanes.finish_all()

    assert heard(tickets[offender]).error.message == "poison"
    others = [ticket for ticket in tickets if ticket is not tickets[offender]]
    assert answers(others) == [rows(tag).tolist() for tag in tags if tag != POISON]
    assert len(desk.lanes.started) <= 1 + 2 * 3
    assert desk.idle


@pytest.mark.asyncio
async def test_single_request_that_fails_is_not_run_again(make_desk: MakeDesk) -> None:
    """Alone in its batch it has nobody to be told apart from."""
    desk = make_desk()

    ticket = desk.hand_in(rows(POISON))
    await desk.lanes.finish_all()

    assert heard(ticket).error.message == "poison"
    assert desk.lanes.sizes == [1]
    assert desk.statistics.execution_count == 0
    assert desk.idle


@pytest.mark.asyncio
async def test_long_request_is_split_and_rejoined_in_order(make_desk: MakeDesk) -> None:
    """More rows than one run takes come back complete and in order, whichever lane finishes first."""
    desk = make_desk(max_rows=4, lanes=3)
    tags = [float(tag) for tag in range(11)]

    ticket = desk.hand_in(rows(*tags))
    await desk.lanes.finish_all()

    assert desk.lanes.sizes == [4, 4, 3]
    assert heard(ticket).array.tolist() == rows(*tags).tolist()
    assert desk.idle


@pytest.mark.asyncio
async def test_parts_of_a_long_request_that_fails_do_not_start_any_more(make_desk: MakeDesk) -> None:
    """The first failed part ends the request, once; what waits is dropped."""
    desk = make_desk(max_rows=2)

    ticket = desk.hand_in(rows(1, POISON, 3, 4, 5, 6))
    await desk.lanes.finish_all()

    assert heard(ticket).error.message == "poison"
    assert desk.lanes.sizes == [2]
    assert desk.idle


@pytest.mark.asyncio
async def test_long_request_cancelled_midway_drops_what_waits(make_desk: MakeDesk) -> None:
    """Parts that have not started never do, and the reply stays silent."""
    desk = make_desk(max_rows=2)
    ticket = desk.hand_in(rows(1, 2, 3, 4, 5, 6))
    await turn()

    ticket.cancel()
    await desk.lanes.finish_all()

    assert desk.lanes.sizes == [2]
    assert heard(ticket).heard == []
    assert desk.idle


@pytest.mark.asyncio
async def test_request_that_has_left_is_not_kept(make_desk: MakeDesk) -> None:
    """With nobody behind it, nothing would come by its place in the line before the next request does."""
    desk = make_desk(max_rows=1)
    desk.hand_in(rows(1))
    await turn()
    left = [desk.hand_in(rows(2)), desk.hand_in(rows(3))]

    for ticket in left:
        ticket.cancel()

    assert [job for job in gc.get_objects() if isinstance(job, Work) and job.ticket in left] == []
    await desk.lanes.finish_all()
    assert desk.lanes.sizes == [1]
    assert desk.idle


@pytest.mark.parametrize("end", ["answered", "failed", "cancelled", "refused"])
@pytest.mark.asyncio
async def test_long_request_goes_with_its_end(make_desk: MakeDesk, end: str) -> None:
    """Its parts know the whole, which knew them: a cycle that kept the tensors until the garbage collector came by."""
    desk = make_desk(max_rows=2, queue_rows=4 if end == "refused" else 16)
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(Overloaded):
            ticket = desk.hand_in(rows(1, 2, POISON if end == "failed" else 3, 4, 5, 6))
            await turn()
            if end == "cancelled":
                ticket.cancel()
            await desk.lanes.finish_all()
        desk.lanes.started.clear()
        assert [left for left in gc.get_objects() if isinstance(left, Piece)] == []
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([(2, 2), (2, 3)], id="other-dimensions"),
        pytest.param([(2, 2), (1, 2)], id="a-row-missing"),
        pytest.param([(), ()], id="no-rows"),
    ],
)
@pytest.mark.asyncio
async def test_parts_that_cannot_be_joined_fail_the_request(make_desk: MakeDesk, pieces: list[tuple[int, ...]]) -> None:
    """An output that does not follow the rows ends the request with a reason, and the lane goes on."""
    desk = make_desk(max_rows=2)
    ticket = desk.hand_in(rows(1, 2, 3, 4))
    await turn()

    for shape in pieces:
        desk.lanes.finish(Run(outputs=[[np.zeros(shape, np.float32)]]))
        await turn()
    after = desk.hand_in(rows(5))
    await desk.lanes.finish_all()

    assert isinstance(heard(ticket).error, ModelFailed)
    assert "cannot be joined" in heard(ticket).error.message
    assert heard(after).array.tolist() == rows(5).tolist()
    assert desk.idle


@pytest.mark.asyncio
async def test_zero_rows_are_answered_with_zero_rows(make_desk: MakeDesk) -> None:
    """A request without rows runs alone and gets an empty answer."""
    desk = make_desk()

    empty, full = desk.hand_in(rows()), desk.hand_in(rows(1))
    await desk.lanes.finish_all()

    assert heard(empty).array.shape == (0, 2)
    assert heard(full).array.tolist() == rows(1).tolist()
    assert sorted(desk.lanes.sizes) == [0, 1]


@pytest.mark.asyncio
async def test_full_queue_refuses_with_a_time_to_come_back(make_desk: MakeDesk) -> None:
    """The refused request is told when to retry; those that wait are not touched."""
    desk = make_desk(max_rows=4, queue_rows=4)
    running = desk.hand_in(rows(*range(4)))
    await turn()
    waiting = desk.hand_in(rows(*range(4)))

    with pytest.raises(Overloaded, match="4 rows wait, the limit is 4") as refused:
        desk.hand_in(rows(9))

    assert refused.value.retry_after_s == 1.0
    await desk.lanes.finish_all()
    assert answers([running, waiting]) == [rows(*range(4)).tolist()] * 2
    assert desk.idle


@pytest.mark.asyncio
async def test_time_to_come_back_follows_the_measured_runs(make_desk: MakeDesk) -> None:
    """The longer runs take and the more waits, the later the retry."""
    desk = make_desk(max_rows=1, queue_rows=4)
    desk.hand_in(rows(0))
    await turn()
    desk.lanes.finish(Run(outputs=[[rows(0)]], infer_ns=50 * NS_PER_S))
    desk.hand_in(rows(1))
    await turn()
    for tag in range(4):
        desk.hand_in(rows(tag))

    with pytest.raises(Overloaded) as refused:
        desk.hand_in(rows(9))

    assert refused.value.retry_after_s == 250.0
    await desk.lanes.finish_all()


@pytest.mark.asyncio
async def test_long_texts_count_towards_the_bytes_that_may_wait(make_desk: MakeDesk) -> None:
    """A text weighs what it holds, not what a pointer to it takes."""
    texts = ModelSchema((TensorSpec("X", BYTES, (-1, 1)),), (TensorSpec("Y", BYTES, (-1, 1)),), batched=True)
    desk = make_desk(schema=texts)
    desk.hand_in(np.array([["a"]], dtype=object), datatype="BYTES")
    await turn()
    desk.hand_in(np.array([["b" * 9000]], dtype=object), datatype="BYTES")

    with pytest.raises(Overloaded, match="9004 bytes of input wait, the limit is 10000"):
        desk.hand_in(np.array([["c" * 2000]], dtype=object), datatype="BYTES")

    await desk.lanes.finish_all()


@pytest.mark.asyncio
async def test_requests_of_different_shapes_run_apart(make_desk: MakeDesk) -> None:
    """With a free dimension only equal shapes share a run."""
    free = ModelSchema((TensorSpec("X", FP32, (-1, -1)),), (TensorSpec("Y", FP32, (-1, -1)),), batched=True)
    desk = make_desk(schema=free)
    narrow, wide = np.ones((1, 2), np.float32), np.full((1, 3), 2, np.float32)

    tickets = [desk.hand_in(array) for array in (narrow, wide, narrow, wide)]
    await desk.lanes.finish_all()

    assert desk.lanes.sizes == [2, 2]
    assert answers(tickets) == [array.tolist() for array in (narrow, wide, narrow, wide)]


@pytest.mark.asyncio
async def test_timeline_tells_wait_and_run(make_desk: MakeDesk) -> None:
    """Queue time runs from arrival to start, the run is charged in full, and the total holds both."""
    desk = make_desk()
    desk.hand_in(rows(1))
    await turn()
    ticket = desk.hand_in(rows(2))

    desk.clock.now_ns += 7
    desk.lanes.finish()
    await turn()
    desk.clock.now_ns += 4
    desk.lanes.finish()

    timeline = ticket.timeline
    assert (timeline.queue_ns, timeline.infer_ns, timeline.total_ns) == (7 + NS_PER_MS, NS_PER_MS, 11 + 2 * NS_PER_MS)


@pytest.mark.asyncio
async def test_statistics_count_rows_and_runs(make_desk: MakeDesk) -> None:
    """Rows are inferences, runs are executions, and runs are kept by their size."""
    desk = make_desk(max_rows=4)

    desk.hand_in(rows(1, 2, 3))
    desk.hand_in(rows(4, 5, 6))
    await desk.lanes.finish_all()

    assert (desk.statistics.inference_count, desk.statistics.execution_count) == (6, 2)
    assert set(desk.statistics.batches) == {3}


@pytest.mark.asyncio
async def test_short_run_is_done_on_the_event_loop_within_the_turn() -> None:
    """A hop of 2 ms is longer than the run of 1 ms: no thread is asked, and the answers are there at the end of the turn."""
    desk = Desk(SCHEMA, BatchLimits(4, 100, 1 << 20), 1, hop_ns=2 * NS_PER_MS)

    tickets = [desk.hand_in(rows(tag)) for tag in (1, 2)]
    await turn()

    assert answers(tickets) == [[[1, 1]], [[2, 2]]]
    assert [batch.rows for batch in desk.lanes.here] == [2]
    assert not desk.lanes.started
    assert desk.idle


@pytest.mark.asyncio
async def test_complete_batches_run_before_the_turn_ends() -> None:
    """A thousand connections are read in one turn of the loop: what fills a batch does not wait for the last of them."""
    desk = Desk(SCHEMA, BatchLimits(4, None, 1 << 20), 1, hop_ns=2 * NS_PER_MS)

    tickets = [desk.hand_in(rows(tag)) for tag in range(10)]

    assert [batch.rows for batch in desk.lanes.here] == [4, 4]
    assert answers(tickets[:8]) == [rows(tag).tolist() for tag in range(8)]
    await turn()
    assert [batch.rows for batch in desk.lanes.here] == [4, 4, 2]
    assert desk.idle


@pytest.mark.asyncio
async def test_poison_in_a_run_on_the_event_loop_fails_only_its_offender() -> None:
    """The halves run on the event loop too."""
    desk = Desk(SCHEMA, BatchLimits(4, 100, 1 << 20), 1, hop_ns=2 * NS_PER_MS)

    good, bad = desk.hand_in(rows(1)), desk.hand_in(rows(POISON))
    await turn()

    assert answers([good]) == [[[1, 1]]]
    assert isinstance(heard(bad).error, ModelFailed)
    assert desk.idle


@pytest.mark.asyncio
async def test_long_run_is_left_to_a_thread() -> None:
    """A hop of half a millisecond is shorter than the run."""
    desk = Desk(SCHEMA, BatchLimits(4, 100, 1 << 20), 1, hop_ns=NS_PER_MS // 2)

    desk.hand_in(rows(1))
    await desk.lanes.finish_all()

    assert not desk.lanes.here
    assert desk.lanes.sizes == [1]


@pytest.mark.asyncio
async def test_request_of_more_parts_than_anybody_means_is_refused(make_desk: MakeDesk) -> None:
    """Rows without any elements cost their sender nothing; each part of them would cost the event loop."""
    desk = make_desk(max_rows=4)

    with pytest.raises(TooLarge, match="1099511627776 rows"):
        desk.hand_in(np.empty((1 << 40, 0), np.float32))
    assert desk.idle
