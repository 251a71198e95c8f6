"""ModelStreamInfer: many predictions in one call, at once, answered in the order in which they were asked."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from penstock.domain.errors import PenstockError, Unavailable
from penstock.grpc.call import AwaitedReply, CallInfo, Cancellable, Ended, Write
from penstock.grpc.predictions import Predictions
from penstock.wire.call import REQUEST_ID, request_id_of

MAX_IN_FLIGHT: Final = 64
"""Predictions of one stream that are read and not yet answered; the sender waits beyond that."""
_TRUE_STATUS: Final = "triton_grpc_error"


class InferStreams:
    """All calls of ModelStreamInfer that are open. Lives on the event loop."""

    def __init__(self, predictions: Predictions) -> None:
        self._predictions = predictions
        self._open: set[_Stream] = set()

    async def handle(self, requests: AsyncIterator[bytes], call: CallInfo, write: Write) -> Ended:
        """Answer every request of a stream; an error is an answer, or the stream's end if the metadata ask for that.

        The request id of the stream, given or made, and the position give each prediction its id: `<id>-0`, `<id>-1`.
        """
        try:
            stream = _Stream(self._predictions, call, request_id_of(call.metadata.get(REQUEST_ID)))
        except PenstockError as error:
            return Ended(error=error)
        self._open.add(stream)
        try:
            return await stream.run(requests, write)
        finally:
            self._open.discard(stream)

    def close(self) -> None:
        """Read no more requests; each stream ends once it has answered those that it has read."""
        for stream in self._open:
            stream.close()


class _Slot(AwaitedReply):
    """The place of one answer in the order of answers."""

    __slots__ = ("work",)

    def __init__(self) -> None:
        super().__init__()
        self.work: Cancellable | None = None


class _Stream:
    """One call. A task reads and starts predictions; the caller of `run` writes their answers."""

    def __init__(self, predictions: Predictions, call: CallInfo, request_id: str) -> None:
        self._predictions = predictions
        self._call = call
        self._request_id = request_id
        self._true_status = call.metadata.get(_TRUE_STATUS, "").lower() == "true"
        self._open: deque[_Slot] = deque()
        self._read_or_over = asyncio.Event()
        self._answered = asyncio.Event()
        self._started = 0
        self._over = False
        self._closed = False
        self._reader: asyncio.Task[None] | None = None

    async def run(self, requests: AsyncIterator[bytes], write: Write) -> Ended:
        reader = self._reader = asyncio.create_task(self._read(requests))
        try:
            error = await self._write(write) or await self._end_of(reader)
            return Ended(error=error, trailing=((REQUEST_ID, self._request_id),))
        finally:
            for slot in self._open:
                if slot.work is not None:
                    slot.work.cancel()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    def close(self) -> None:
        self._closed = True
        if self._reader is not None:
            self._reader.cancel()

    async def _end_of(self, reader: "asyncio.Task[None]") -> PenstockError | None:
        """Return why no more was read, unless the client has sent everything; raises what reading has raised."""
        if self._closed:
            return Unavailable("the server is shutting down; send further requests to another one")
        await reader
        return None

    async def _read(self, requests: AsyncIterator[bytes]) -> None:
        try:
            async for data in requests:
                while len(self._open) >= MAX_IN_FLIGHT:
                    self._answered.clear()
                    await self._answered.wait()
                self._start(data)
        finally:
            self._over = True
            self._read_or_over.set()

    def _start(self, data: bytes) -> None:
        slot = _Slot()
        self._open.append(slot)
        request_id = f"{self._request_id}-{self._started}"
        self._started += 1
        slot.work = self._predictions.infer_in_stream(data, self._call, slot, request_id, true_status=self._true_status)
        # The writer wakes last: by then a small model has answered, and there is nothing more to wait for.
        self._read_or_over.set()

    async def _write(self, write: Write) -> PenstockError | None:
        while (slot := await self._oldest()) is not None:
            ended = slot.ended or await slot
            if ended.error is not None:
                return ended.error
            await write(ended.message)
            self._open.popleft()
            self._answered.set()
        return None

    async def _oldest(self) -> _Slot | None:
        """Return the slot whose turn it is, None once everything that was read is answered."""
        while not self._open and not self._over:
            self._read_or_over.clear()
            await self._read_or_over.wait()
        return self._open[0] if self._open else None
