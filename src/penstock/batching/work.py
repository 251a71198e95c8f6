"""A ticket as jobs: a long request is divided on its way in and joined on its way out."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from penstock.batching.job import Job, Key
from penstock.domain.batch import Run
from penstock.domain.errors import ModelFailed, PenstockError
from penstock.domain.request import InferenceRequest
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Array, Tensor
from penstock.domain.ticket import Ticket

NEVER_NS = 1 << 62


class Work:
    """The jobs of one ticket. The ticket ends when the last of them is done or the first of them fails."""

    __slots__ = ("_cancel", "_queued_ns", "_schema", "_unfinished", "jobs", "ticket")

    def __init__(
        self, ticket: Ticket, schema: ModelSchema, *, queued_ns: int, max_rows: int, slo_ns: int, cancel: Callable[[Job], None]
    ) -> None:
        self.ticket = ticket
        self._schema = schema
        self._queued_ns = queued_ns
        self._cancel = cancel
        job = self._job(ticket.request, slo_ns)
        self.jobs = _pieces(job, max_rows) if job.rows > max_rows and schema.batched else [job]
        self._unfinished = len(self.jobs)

    def _job(self, request: InferenceRequest, slo_ns: int) -> Job:
        inputs = {tensor.name: tensor.array for tensor in request.inputs}
        size = sum([tensor.size_bytes for tensor in request.inputs])
        deadline_ns = NEVER_NS if request.deadline_ns is None else request.deadline_ns
        rows = self._schema.rows(request)
        due_ns = min(request.arrived_ns + slo_ns, deadline_ns)
        key = _key(request, self._schema)
        return Job(inputs, rows, key, size_bytes=size, due_ns=due_ns, deadline_ns=deadline_ns, priority=request.priority, work=self)

    def withdraw(self, ticket: Ticket) -> None:  # noqa: ARG002 - the protocol's argument; a work has one ticket
        """Cancel the jobs that have not started."""
        for job in self.jobs:
            self._cancel(job)

    def started(self, now_ns: int) -> None:
        """Note the end of the wait, once for the first job that runs."""
        timeline = self.ticket.timeline
        timeline.queue_ns = timeline.queue_ns or now_ns - self._queued_ns

    def finished(self, job: Job, outputs: list[Array], run: Run, batch_rows: int, now_ns: int) -> Ticket | None:
        """Take one job's outputs; with the last job's, settle the answer and return the ticket, which is to deliver it."""
        job.outputs = outputs
        timeline = self.ticket.timeline
        timeline.input_ns += run.input_ns
        timeline.infer_ns += run.infer_ns
        timeline.output_ns += run.output_ns
        self._unfinished -= 1
        if self._unfinished or self.ticket.outcome is not None:
            return None
        try:
            settled = self.ticket.settle(self._joined(), batch_rows, now_ns)
        except PenstockError as error:
            self.ticket.fail(error)
            return None
        return self.ticket if settled else None

    def failed(self, error: PenstockError) -> None:
        """End the ticket; what has not started never does."""
        self.withdraw(self.ticket)
        self.ticket.fail(error)

    def _joined(self) -> list[Tensor]:
        names, arrays, named = self.jobs[0].key.outputs, self.jobs[0].outputs, self._schema.output_named
        if len(self.jobs) > 1:
            each = zip(names, zip(*(job.outputs for job in self.jobs), strict=True), strict=True)
            arrays = [self._concatenated(name, pieces) for name, pieces in each]
        return [Tensor(name, named[name].datatype, array) for name, array in zip(names, arrays, strict=True)]

    def _concatenated(self, name: str, pieces: tuple[Array, ...]) -> Array:
        """Return the rows of all jobs, or raise `ModelFailed` if an output is not one row for each row that went in."""
        fits = all(piece.shape[:1] == (job.rows,) for job, piece in zip(self.jobs, pieces, strict=True))
        if not fits or len({piece.shape[1:] for piece in pieces}) > 1:
            shapes = ", ".join(str(list(piece.shape)) for piece in pieces)
            raise ModelFailed(
                f"the request was run in {len(pieces)} parts, and their shapes {shapes} of output {name!r} cannot be joined; "
                "send fewer rows at once"
            )
        return np.concatenate(pieces)


def _pieces(job: Job, max_rows: int) -> list[Job]:
    """Divide a job that is too long for one run."""
    return [
        Job(
            {name: array[start : start + max_rows] for name, array in job.inputs.items()},
            min(max_rows, job.rows - start),
            job.key,
            size_bytes=job.size_bytes * min(max_rows, job.rows - start) // job.rows,
            due_ns=job.due_ns,
            deadline_ns=job.deadline_ns,
            priority=job.priority,
            work=job.work,
        )
        for start in range(0, job.rows, max_rows)
    ]


def _key(request: InferenceRequest, schema: ModelSchema) -> Key:
    if schema.uniform:
        return _plain_key(request.outputs or schema.output_names)
    shapes = tuple(sorted((tensor.name, tensor.array.shape[1:]) for tensor in request.inputs))
    return Key(request.outputs or schema.output_names, shapes)


@lru_cache(256)
def _plain_key(outputs: tuple[str, ...]) -> Key:
    return Key(outputs)
