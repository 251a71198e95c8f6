"""Runs that nobody waits for: pairs as batches of their own, beside the queue of the version and never in it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from penstock.batching.batcher import Batcher
from penstock.batching.job import Job, Key
from penstock.batching.work import LongWork, Work
from penstock.domain.batch import Batch, Run
from penstock.domain.clock import NS_PER_MS, monotonic
from penstock.domain.errors import ModelFailed, PenstockError
from penstock.domain.halt import Halt
from penstock.domain.padded_batch import PaddedBatch
from penstock.domain.schema import ModelSchema
from penstock.domain.session import Session
from penstock.domain.tensor import Array, Tensor
from penstock.domain.ticket import Ticket
from penstock.execution.lane import execute
from penstock.inference.predictor import Nobody
from penstock.inference.shadow_pair import ShadowPair

_SHORT_NS: Final = 5 * NS_PER_MS


class RunSizes(NamedTuple):
    """What a run of a version may hold; read on the event loop, where the scheduler lives."""

    rows: int
    elements: int
    """Rows times their padded length."""
    together: bool
    sizes: tuple[int, ...]
    """The sizes that the device has compiled; empty where any will do."""

    @classmethod
    def of(cls, batcher: Batcher) -> "RunSizes":
        """Return what a version's own batches hold, but no more than what runs in a short while: a long run would never find the time."""
        scheduler = batcher.scheduler
        limits, kind = scheduler.limits, scheduler.kinds[0]
        full = kind.budget(limits, scheduler.slo_ns)
        return cls(limits.max_rows, max(1, kind.latency.rows_within(_SHORT_NS, full)), limits.together, kind.sizes)

    def run_rows(self, rows: int) -> int:
        """Return the size in which so many rows are run."""
        return next((size for size in self.sizes if size >= rows), rows)


class Shadowed(NamedTuple):
    """What became of a pair: outputs, or an error."""

    pair: ShadowPair
    outputs: dict[str, Tensor]
    infer_ns: int
    began_ns: int
    error: PenstockError | None = None


class ShadowRuns:
    """Runs pairs on a version's session, one batch after the other, until it is told to stop. Lives on a thread of its own."""

    def __init__(self, session: Session, schema: ModelSchema, sizes: RunSizes, halt: Halt) -> None:
        self.began_ns = 0
        """When the run under way began; 0 between runs. Read by the event loop, which sees to it that none lasts too long."""
        self._session = session
        self._schema = schema
        self._sizes = sizes
        self.halt: Final = halt

    def results(self, pairs: Sequence[ShadowPair]) -> Iterator[Shadowed]:
        """Yield what becomes of each pair; those that a halt has left over are not among them."""
        asked: list[tuple[ShadowPair, list[Job]]] = []
        for pair in pairs:
            try:
                asked.append((pair, self._jobs(pair)))
            except PenstockError as error:
                yield Shadowed(pair, {}, 0, 0, error)
        ends = self._ends([job for _, jobs in asked for job in jobs])
        for pair, jobs in asked:
            if all(job in ends for job in jobs):
                yield self._joined(pair, jobs, [ends[job] for job in jobs])

    def _jobs(self, pair: ShadowPair) -> list[Job]:
        """Return the work of a pair, in parts if it is long; raises `InvalidInput` where the version does not take such a request."""
        self._schema.check(pair.request)
        work = Work(Ticket(pair.request, _NOBODY, _ignored, monotonic), self._schema, slo_ns=0, cancel=_ignored)
        long = self._schema.batched and work.rows > self._sizes.rows
        return [*LongWork(work, self._sizes.rows, _ignored).let_go()] if long else [work]

    def _ends(self, jobs: Sequence[Job]) -> "dict[Job, _End]":
        ends: dict[Job, _End] = {}
        for batch in self._batches(jobs):
            if self.halt.asked:
                break
            ends |= self._run(batch)
        return ends

    def _batches(self, jobs: Sequence[Job]) -> Iterator[list[Job]]:
        """Yield jobs that run together, as the version's own scheduler would put them together."""
        lines: defaultdict[Key, list[Job]] = defaultdict(list)
        for job in jobs:
            lines[job.key].append(job)
        for key, line in lines.items():
            most = max(1, min(self._sizes.rows, self._sizes.elements // key.length))
            batch: list[Job] = []
            rows = 0
            for job in line:
                if batch and (not self._sizes.together or not job.rows or not rows or rows + job.rows > most):
                    yield batch
                    batch, rows = [], 0
                batch.append(job)
                rows += job.rows
            yield batch

    def _run(self, jobs: list[Job]) -> "dict[Job, _End]":
        self.began_ns = began_ns = monotonic()
        run = execute(self._session, self._batch(jobs))
        self.began_ns = 0
        if run.error is None:
            return {job: _End(outputs, run, began_ns) for job, outputs in zip(jobs, run.outputs, strict=True)}
        if self.halt.asked:
            return {}
        if len(jobs) == 1:
            return {jobs[0]: _End([], run, began_ns)}
        return {job: end for job in jobs if not self.halt.asked for job, end in self._run([job]).items()}

    def _batch(self, jobs: Sequence[Job]) -> Batch:
        outputs, padding = jobs[0].key.outputs, self._schema.padding
        run_rows = self._sizes.run_rows(sum(job.rows for job in jobs))
        if jobs[0].length and padding is not None:
            batch: Batch = PaddedBatch(jobs, outputs, padding, max(job.length for job in jobs), run_rows)
        else:
            batch = Batch(jobs, outputs, run_rows)
        batch.halt = self.halt
        return batch

    def _joined(self, pair: ShadowPair, jobs: Sequence[Job], ends: "Sequence[_End]") -> Shadowed:
        error = next((end.run.error for end in ends if end.run.error is not None), None)
        infer_ns, began_ns = sum(end.run.infer_ns for end in ends), ends[0].began_ns
        if error is None:
            try:
                arrays = [_whole(parts) for parts in zip(*(end.outputs for end in ends), strict=True)]
                named = zip(jobs[0].key.outputs, arrays, strict=True)
                return Shadowed(pair, {name: self._tensor(name, array) for name, array in named}, infer_ns, began_ns)
            except ValueError:
                error = ModelFailed("the parts of a long request cannot be joined")
        return Shadowed(pair, {}, infer_ns, began_ns, error)

    def _tensor(self, name: str, array: Array) -> Tensor:
        return Tensor(name, self._schema.output_named[name].datatype, array)


class _End(NamedTuple):
    """How one job ended."""

    outputs: Sequence[Array]
    run: Run
    began_ns: int


def _whole(parts: Sequence[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _ignored(_: object) -> None:
    """Hear of something that matters to callers only."""


_NOBODY: Final = Nobody()
