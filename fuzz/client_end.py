"""The client's end of a connection in the same process: what a protocol writes to, and what came of it."""

import asyncio
from typing import Any


class ClientEnd(asyncio.Transport):
    """A transport without a socket, which takes everything at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.ended = False
        """Whether the server sends no more."""
        self.written_late = False
        """Whether something was written behind that end."""
        self.closed = False
        """Whether the server has closed the connection, or cut it."""
        self.paused = False
        """Whether the server reads nothing at the moment."""
        self.over = False
        """Whether the connection had ended before the client left."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take what the server sends; a socket raises where something follows the end, so that is remembered, and raised here too."""
        if self.ended:
            self.written_late = True
            raise RuntimeError("more was written behind the end")
        if not self.closed:
            self.written += data

    def write_eof(self) -> None:
        """Hear that no more is sent."""
        self.ended = True

    def can_write_eof(self) -> bool:
        """As in the clear."""
        return True

    def close(self) -> None:
        """Hear that the connection is over."""
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        """Tell whether it is over."""
        return self.closed

    def pause_reading(self) -> None:
        """Send nothing from now on."""
        self.paused = True

    def resume_reading(self) -> None:
        """Go on."""
        self.paused = False

    def get_write_buffer_size(self) -> int:
        """Return nothing: all is read."""
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002
        """Return nothing: there is no socket."""
        return default
