"""What RFC 9113 says of one frame from a client: the errors that it names. Written from the text, apart from the server.

Only what can be told from the frame and from which streams are open; what field blocks hold is left to the server.
"""

from typing import Final, NamedTuple

from penstock.http2.errors import Code

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
MAX_FRAME_BYTES: Final = 16_384
_ACK, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x4, 0x8, 0x20
_LARGEST_WINDOW: Final = (1 << 31) - 1
_LENGTHS: Final = {RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_OF_STREAMS: Final = frozenset({DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, CONTINUATION})
_OF_CONNECTIONS: Final = frozenset({SETTINGS, PING, GOAWAY})
_WITH_PADDING: Final = frozenset({DATA, HEADERS})


class Sent(NamedTuple):
    """A frame, and what its sender knows of the connection."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes
    last_id: int
    """The highest stream that was opened."""
    block_of: int
    """The stream whose field block is under way, 0 if none is."""
    was_reset: bool
    """Whether the server has reset its stream: what its sender may have sent before it knew is ignored (section 5.1, "closed")."""

    @property
    def is_idle(self) -> bool:
        """Whether its stream was never opened."""
        return self.stream_id > self.last_id or self.stream_id % 2 == 0


def named(sent: Sent) -> set[Code]:
    """Return the errors of which one must end the connection, or the stream; none if the frame breaks no rule that is known here."""
    found = {Code.FRAME_SIZE_ERROR} if len(sent.payload) > MAX_FRAME_BYTES else set()
    if sent.block_of and (sent.kind != CONTINUATION or sent.stream_id != sent.block_of):
        return found | {Code.PROTOCOL_ERROR}  # section 6.10
    if sent.kind in _OF_STREAMS and not sent.stream_id:
        found.add(Code.PROTOCOL_ERROR)
    if sent.kind in _OF_CONNECTIONS and sent.stream_id:
        found.add(Code.PROTOCOL_ERROR)
    if sent.was_reset and sent.kind == DATA:
        return found
    return found | _of_lengths(sent) | _of_contents(sent)


def _of_lengths(sent: Sent) -> set[Code]:
    size, found = len(sent.payload), set[Code]()
    wrong = sent.kind in _LENGTHS and size != _LENGTHS[sent.kind]
    if wrong or (sent.kind == PRIORITY and size != 5) or (sent.kind == GOAWAY and size < 8):
        found.add(Code.FRAME_SIZE_ERROR)
    if sent.kind == SETTINGS and (size % 6 or (sent.flags & _ACK and size)):
        found.add(Code.FRAME_SIZE_ERROR)
    if sent.kind in _WITH_PADDING and sent.flags & _PADDED:
        if not size:
            found |= {Code.FRAME_SIZE_ERROR, Code.PROTOCOL_ERROR}
        elif sent.payload[0] >= size:
            found.add(Code.PROTOCOL_ERROR)
    if sent.kind == HEADERS and sent.flags & _PRIORITY and size - bool(sent.flags & _PADDED) < 5:
        found.add(Code.FRAME_SIZE_ERROR)
    return found


def _of_contents(sent: Sent) -> set[Code]:
    match sent.kind:
        case 5:  # PUSH_PROMISE: section 8.4
            return {Code.PROTOCOL_ERROR}
        case 9 if not sent.block_of:  # CONTINUATION
            return {Code.PROTOCOL_ERROR}
        case 0 | 3 if sent.is_idle:  # DATA and RST_STREAM: section 5.1
            return {Code.PROTOCOL_ERROR}
        case 1 if sent.stream_id % 2 == 0 and sent.flags & _END_HEADERS:  # HEADERS: section 5.1.1; once their block is whole
            return {Code.PROTOCOL_ERROR}
        case 8:
            return _of_window(sent)
        case 4 if not sent.flags & _ACK and not len(sent.payload) % 6:
            return _of_settings(sent.payload)
    return set()


def _of_window(sent: Sent) -> set[Code]:
    if not sent.stream_id:
        nothing = len(sent.payload) == 4 and not int.from_bytes(sent.payload, "big") & _LARGEST_WINDOW
        return {Code.PROTOCOL_ERROR} if nothing else set()
    return {Code.PROTOCOL_ERROR} if sent.is_idle else set()


def _of_settings(payload: bytes) -> set[Code]:
    found = set()
    for at in range(0, len(payload), 6):
        key, value = int.from_bytes(payload[at : at + 2], "big"), int.from_bytes(payload[at + 2 : at + 6], "big")
        if (key == 2 and value > 1) or (key == 5 and not MAX_FRAME_BYTES <= value < 1 << 24):
            found.add(Code.PROTOCOL_ERROR)
        if key == 4 and value > _LARGEST_WINDOW:
            found.add(Code.FLOW_CONTROL_ERROR)
    return found


MAY_END: Final = {
    DATA: {Code.PROTOCOL_ERROR, Code.STREAM_CLOSED, Code.FLOW_CONTROL_ERROR},
    HEADERS: {Code.FRAME_SIZE_ERROR, Code.PROTOCOL_ERROR, Code.STREAM_CLOSED, Code.COMPRESSION_ERROR, Code.REFUSED_STREAM, Code.NO_ERROR},
    CONTINUATION: {Code.PROTOCOL_ERROR, Code.STREAM_CLOSED, Code.COMPRESSION_ERROR, Code.REFUSED_STREAM, Code.NO_ERROR},
    SETTINGS: {Code.FLOW_CONTROL_ERROR},
    WINDOW_UPDATE: {Code.FLOW_CONTROL_ERROR, Code.PROTOCOL_ERROR},  # by 0 on a stream, which may be closed by now
}
"""What else may end a stream or the connection for the state that it is in, by the type of the frame."""
