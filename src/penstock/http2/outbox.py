"""What goes to the peer: frames about frames at once, DATA as far as the peer's windows allow (RFC 9113, section 5.2)."""

from collections import deque
from typing import Final

from penstock.http2 import frames
from penstock.http2.fields import TABLE_OF_NOTHING
from penstock.http2.settings import DEFAULT_WINDOW, PeerSettings
from penstock.http2.streams import Buffer, Stream

_DEFAULT_TABLE: Final = 4096


class Outbox:
    """The bytes to be written, and the streams whose DATA waits for room."""

    def __init__(self) -> None:
        self.peer: Final = PeerSettings()
        self.window = DEFAULT_WINDOW
        """DATA that the peer takes on all streams together."""
        self.parts: list[Buffer] = []
        """What is to be written next."""
        self._waiting: dict[int, Stream] = {}
        self._table_told = False

    def answer(self, stream: Stream, block: bytes, body: bytes, trailers: bytes) -> bool:
        """Write a whole answer at once, if there is room for it and nothing in its way; returns whether that was so."""
        size, limit = len(body), self.peer.max_frame_bytes
        if size > limit or size > stream.send_window or size > self.window or len(block) > limit or len(trailers) > limit:
            return False
        if self._owes_table:
            return False
        self.window -= size
        self.parts.append(frames.answer(stream.id, block, body, trailers))
        return True

    @property
    def _owes_table(self) -> bool:
        """Whether the next block has to begin with a change of the dynamic table's size."""
        return not self._table_told and self.peer.table_bytes < _DEFAULT_TABLE

    def headers(self, stream_id: int, block: bytes, *, end: bool) -> None:
        """Write a field block."""
        if self._owes_table:
            self._table_told = True
            block = TABLE_OF_NOTHING + block
        if len(block) <= self.peer.max_frame_bytes:
            flags = frames.END_HEADERS | frames.END_STREAM if end else frames.END_HEADERS
            self.parts.append(frames.frame(frames.HEADERS, flags, stream_id, block))
            return
        self.parts += frames.header_frames(stream_id, block, frames.END_STREAM if end else 0, self.peer.max_frame_bytes)

    def data(self, stream: Stream, data: Buffer) -> bool:
        """Write DATA, or as much of it as there is room for; returns whether none of it waits."""
        if stream.queue is None:
            size = len(data)
            if size <= self.peer.max_frame_bytes and size <= stream.send_window and size <= self.window:
                self._write(stream, data)
                return True
            stream.queue = deque()
        stream.queue.append(memoryview(data))
        self._waiting[stream.id] = stream
        return bool(self.go_on(stream))

    def trailers(self, stream: Stream, block: bytes) -> bool:
        """Write the block that ends a stream, behind its DATA; returns whether it is written now."""
        if stream.queue is not None:
            stream.trailers = block
            return False
        self.headers(stream.id, block, end=True)
        return True

    def forget(self, stream: Stream) -> None:
        """Drop what waits on a stream that is closed."""
        stream.queue = None
        self._waiting.pop(stream.id, None)

    def second_passed(self) -> None:
        """Count how long DATA has waited."""
        for stream in self._waiting.values():
            stream.waited_s += 1

    def stalled(self, seconds: float) -> list[int]:
        """Return the streams of which nothing has been written for so long."""
        return [stream_id for stream_id, stream in self._waiting.items() if stream.waited_s > seconds]

    def go_on(self, only: Stream | None = None) -> list[Stream]:
        """Write what there is room for now, streams taking turns from call to call; returns those of which nothing waits any more."""
        turn = asked = list(self._waiting.values()) if only is None else [only]
        while turn:
            turn = [stream for stream in turn if self._write_next(stream)]
        emptied = [stream for stream in asked if stream.queue is not None and not stream.queue]
        for stream in emptied:
            self.forget(stream)
        return emptied

    def _write_next(self, stream: Stream) -> bool:
        """Write one frame of a stream; returns whether there may be another."""
        queue = stream.queue
        room = min(self.window, stream.send_window, self.peer.max_frame_bytes)
        if not queue or room <= 0:
            return False
        first = queue[0]
        if len(first) <= room:
            queue.popleft()
        else:
            queue[0], first = first[room:], first[:room]
        self._write(stream, first)
        self._waiting[stream.id] = self._waiting.pop(stream.id)  # behind the others
        return bool(queue)

    def _write(self, stream: Stream, data: Buffer) -> None:
        size = len(data)
        stream.send_window -= size
        stream.waited_s = 0
        self.window -= size
        self.parts.append(frames.data_head(size, stream.id))
        self.parts.append(data)
