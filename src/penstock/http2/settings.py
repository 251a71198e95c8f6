"""What each side allows the other (RFC 9113, section 6.5.2)."""

from typing import Final, NamedTuple

from penstock.http2 import frames
from penstock.http2.errors import Code, ConnectionFault

HEADER_TABLE_SIZE: Final = 1
ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6
DEFAULT_WINDOW: Final = 65_535
SMALLEST_MAX_FRAME: Final = 1 << 14
_LARGEST_MAX_FRAME: Final = (1 << 24) - 1
_SETTING_BYTES: Final = 6


class Limits(NamedTuple):
    """What the peer may do."""

    max_streams: int = 100
    """Streams that are open at once."""
    stream_window_bytes: int = 1 << 20
    """DATA of one stream that has arrived and was not consumed."""
    window_bytes: int = 8 << 20
    """The same of all streams together."""
    max_frame_bytes: int = SMALLEST_MAX_FRAME
    max_header_bytes: int = 16 * 1024
    """The fields of a request, 32 bytes added for each (RFC 9113, section 6.5.2)."""
    idle_frames: int = 1_000
    """Frames in a row that ask for work and bring no request further."""
    resets: int = 200
    """Streams that end before their answer, beyond those that end with one."""

    def frames(self) -> bytes:
        """Return the server's preface: its SETTINGS, and the window of the connection."""
        values = (
            (MAX_CONCURRENT_STREAMS, self.max_streams),
            (INITIAL_WINDOW_SIZE, self.stream_window_bytes),
            (MAX_FRAME_SIZE, self.max_frame_bytes),
            (MAX_HEADER_LIST_SIZE, self.max_header_bytes),
        )
        return frames.settings(values) + frames.window_update(0, self.window_bytes - DEFAULT_WINDOW)


class PeerSettings:
    """What the peer allows us."""

    __slots__ = ("max_frame_bytes", "table_bytes", "window_bytes")

    def __init__(self) -> None:
        self.max_frame_bytes = SMALLEST_MAX_FRAME
        self.table_bytes = 4096
        self.window_bytes = DEFAULT_WINDOW
        """Of a stream that begins."""

    def apply(self, payload: bytes) -> None:
        """Take over what SETTINGS say, in their order; raises `ConnectionFault`. What is not known is ignored."""
        if len(payload) % _SETTING_BYTES:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes; each takes {_SETTING_BYTES}")
        for key, value in frames.settings_in(payload):
            self._set(key, value)

    def _set(self, key: int, value: int) -> None:
        match key:
            case 1:  # SETTINGS_HEADER_TABLE_SIZE
                self.table_bytes = value
            case 2 if value > 1:
                raise ConnectionFault(Code.PROTOCOL_ERROR, f"SETTINGS_ENABLE_PUSH is {value}; it is 0 or 1")
            case 4 if value > frames.LARGEST_WINDOW:
                raise ConnectionFault(Code.FLOW_CONTROL_ERROR, f"SETTINGS_INITIAL_WINDOW_SIZE is {value}; at most 2^31-1 is allowed")
            case 4:
                self.window_bytes = value
            case 5 if not SMALLEST_MAX_FRAME <= value <= _LARGEST_MAX_FRAME:
                raise ConnectionFault(Code.PROTOCOL_ERROR, f"SETTINGS_MAX_FRAME_SIZE is {value}; 2^14 to 2^24-1 is allowed")
            case 5:
                self.max_frame_bytes = value
