"""A ticket as jobs: a request is a job; a long one is divided on its way in and joined on its way out."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from penstock.batching.buckets import bucket_length
from penstock.batching.job import NEVER_NS, Job, Key
from penstock.domain.batch import Run
from penstock.domain.errors import ModelFailed, PenstockError, TooLarge
from penstock.domain.padding import Padding
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Array, Tensor
from penstock.domain.ticket import Ticket

_STRETCH: Final = (0.5, 1.0, 3.0)
"""By how much of the target a priority's answer may be late in the order of service. Nothing starves: a sheddable request that has
waited for twice the target is served like a normal one that comes now."""
_MOST_PIECES: Final = 32_768
"""Of a request: each takes some microseconds of the event loop and half a kilobyte, whatever its rows hold."""


class Work(Job):
    """The whole of a request: the usual case, one object from the queue to the answer."""

    __slots__ = ("_cancel", "_schema", "ticket")

    def __init__(self, ticket: Ticket, schema: ModelSchema, *, slo_ns: int, cancel: Callable[[Job], None]) -> None:
        request = ticket.request
        deadline_ns = NEVER_NS if request.deadline_ns is None else request.deadline_ns
        inputs, size_bytes = _arrays(request.inputs)
        length = 0
        if schema.uniform:
            key = _plain_key(request.outputs or schema.output_names)
        else:
            inputs, key, length = _shaped(inputs, request.outputs or schema.output_names, schema.padding)
        super().__init__(
            inputs,
            schema.rows(request),
            key,
            length=length,
            size_bytes=size_bytes,
            due_ns=min(request.arrived_ns + int(slo_ns * _STRETCH[request.priority]), deadline_ns),
            deadline_ns=deadline_ns,
            priority=request.priority,
            party=None if request.caller is None else request.caller.tenant,
        )
        self.ticket = ticket
        self._schema = schema
        self._cancel = cancel

    def withdraw(self, ticket: Ticket) -> None:  # noqa: ARG002 - the protocol's argument; a work has one ticket
        """Leave the queue."""
        self._cancel(self)

    def finished(self, outputs: list[Array], run: Run, batch_rows: int, now_ns: int) -> Ticket | None:
        """Settle the answer and return the ticket, which is to deliver it."""
        ticket = self.ticket
        ticket.timeline.ran(run)
        return ticket if ticket.settle(_tensors(self.key.outputs, outputs, self._schema), batch_rows, now_ns) else None

    def failed(self, error: PenstockError) -> None:
        """End the ticket."""
        self.ticket.fail(error)


class Piece(Job):
    """A part of a long request."""

    __slots__ = ("outputs", "ticket", "whole")

    whole: "LongWork"
    ticket: Ticket
    outputs: list[Array]

    def finished(self, outputs: list[Array], run: Run, batch_rows: int, now_ns: int) -> Ticket | None:
        """Keep the outputs until those of all pieces are there."""
        self.outputs = outputs
        self.ticket.timeline.ran(run)
        return self.whole.finished(batch_rows, now_ns)

    def failed(self, error: PenstockError) -> None:
        """End the ticket; no other piece need run."""
        self.whole.withdraw(self.ticket)
        self.ticket.fail(error)


class LongWork:
    """The pieces of one request. The ticket ends when the last of them is done or the first of them fails."""

    def __init__(self, work: Work, max_rows: int, cancel: Callable[[Job], None]) -> None:
        """Divide the work; raises `TooLarge` where that would be the larger part of it."""
        if work.rows > max_rows * _MOST_PIECES:
            raise TooLarge(
                f"the request has {work.rows} rows, and the model takes {max_rows} in a run; send at most {max_rows * _MOST_PIECES} at once"
            )
        self.jobs = [self._piece(work, start, min(max_rows, work.rows - start)) for start in range(0, work.rows, max_rows)]
        self._ticket = work.ticket
        self._schema = work._schema  # noqa: SLF001 - the same file
        self._cancel = cancel
        self._unfinished = len(self.jobs)

    def withdraw(self, ticket: Ticket) -> None:  # noqa: ARG002
        """Leave the queue, with all pieces that have not started."""
        for job in self.let_go():
            self._cancel(job)

    def let_go(self) -> list[Piece]:
        """Return the pieces and forget them: they know the whole, and a cycle would keep their tensors until the collector comes by."""
        jobs, self.jobs = self.jobs, []
        return jobs

    def finished(self, batch_rows: int, now_ns: int) -> Ticket | None:
        """Count one piece; with the last, settle the answer and return the ticket."""
        self._unfinished -= 1
        if self._unfinished or self._ticket.outcome is not None:
            return None
        jobs = self.let_go()
        try:
            tensors = _tensors(jobs[0].key.outputs, _joined(jobs), self._schema)
        except PenstockError as error:
            self._ticket.fail(error)
            return None
        return self._ticket if self._ticket.settle(tensors, batch_rows, now_ns) else None

    def _piece(self, work: Work, start: int, rows: int) -> Piece:
        inputs = {name: array[start : start + rows] for name, array in work.inputs.items()}
        piece = Piece(
            inputs,
            rows,
            work.key,
            length=work.length,
            size_bytes=work.size_bytes * rows // work.rows,
            due_ns=work.due_ns,
            deadline_ns=work.deadline_ns,
            priority=work.priority,
            party=work.party,
        )
        piece.whole, piece.ticket = self, work.ticket
        return piece


def _joined(jobs: Sequence[Piece]) -> list[Array]:
    each = zip(jobs[0].key.outputs, zip(*(job.outputs for job in jobs), strict=True), strict=True)
    return [_concatenated(name, pieces, jobs) for name, pieces in each]


def _concatenated(name: str, pieces: Sequence[Array], jobs: Sequence[Piece]) -> Array:
    """Return the rows of all pieces, or raise `ModelFailed` if an output is not one row for each row that went in."""
    fits = all(piece.shape[:1] == (job.rows,) for job, piece in zip(jobs, pieces, strict=True))
    if not fits or len({piece.shape[1:] for piece in pieces}) > 1:
        shapes = ", ".join(str(list(piece.shape)) for piece in pieces)
        raise ModelFailed(
            f"the request was run in {len(pieces)} parts, and their shapes {shapes} of output {name!r} cannot be joined; "
            "send fewer rows at once"
        )
    return np.concatenate(pieces)


TicketJob = Work | Piece
"""A job that knows whose it is."""


def _arrays(tensors: Sequence[Tensor]) -> tuple[Mapping[str, Array], int]:
    """Return the arrays by their names, and their bytes. Most requests have one tensor, for which a comprehension costs a call."""
    if len(tensors) == 1:
        tensor = tensors[0]
        return {tensor.name: tensor.array}, tensor.array.nbytes if tensor.datatype.itemsize else tensor.size_bytes
    return {tensor.name: tensor.array for tensor in tensors}, sum([tensor.size_bytes for tensor in tensors])


def _tensors(names: Sequence[str], arrays: Sequence[Array], schema: ModelSchema) -> list[Tensor]:
    named = schema.output_named
    if len(names) == len(arrays) == 1:  # as nearly always, and `zip` with `strict` takes longer than all the rest
        return [Tensor(names[0], named[names[0]].datatype, arrays[0])]
    return [Tensor(name, named[name].datatype, array) for name, array in zip(names, arrays, strict=True)]


def _shaped(inputs: Mapping[str, Array], outputs: tuple[str, ...], padding: Padding | None) -> tuple[Mapping[str, Array], Key, int]:
    """Return the inputs with their masks, the key by which they meet others, and the length if they may be padded."""
    if padding is not None:
        inputs = padding.completed(inputs)
    if padding is None or padding.follows is None:
        return inputs, Key(outputs, _exact(inputs)), 0
    lengths = padding.lengths(inputs)
    longest = max(lengths)
    if len(lengths) > 1 or not longest:
        return inputs, Key(outputs, _exact(inputs), bucket_length(max(1, longest))), 0
    return inputs, Key(outputs, tuple(sorted(padding.open_shapes(inputs))), bucket_length(longest)), longest


def _exact(inputs: Mapping[str, Array]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple(sorted([(name, array.shape[1:]) for name, array in inputs.items()]))


@lru_cache(256)
def _plain_key(outputs: tuple[str, ...]) -> Key:
    return Key(outputs)
