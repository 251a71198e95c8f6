"""What ends a connection (RFC 9113, section 5.4.1): each violation, with its code, and nothing is answered after it."""

from typing import Final

import pytest
from hpack import Encoder
from peer import BLOCK, FIELDS, Peer

from penstock.http2 import frames
from penstock.http2.errors import Code
from penstock.http2.events import Over

PROTOCOL, SIZE, FLOW = Code.PROTOCOL_ERROR, Code.FRAME_SIZE_ERROR, Code.FLOW_CONTROL_ERROR
F: Final = frames.frame
WHOLE: Final = frames.END_HEADERS | frames.END_STREAM
ASK: Final = F(frames.HEADERS, WHOLE, 1, BLOCK)
OPEN: Final = F(frames.HEADERS, frames.END_HEADERS, 1, BLOCK)

VIOLATIONS: Final = {
    "4.2-frame-above-the-size": (F(frames.PING, 0, 0, bytes(16_385)), SIZE),
    "4.3-block-interrupted": (F(frames.HEADERS, 0, 1, BLOCK) + F(frames.PING, 0, 0, bytes(8)), PROTOCOL),
    "4.3-block-interrupted-by-the-unknown": (F(frames.HEADERS, 0, 1, BLOCK) + F(0xBE, 0, 0, b""), PROTOCOL),
    "4.3-block-interrupted-by-another-stream": (F(frames.HEADERS, 0, 1, BLOCK) + F(frames.CONTINUATION, 4, 3, b""), PROTOCOL),
    "4.3-block-that-cannot-be-decoded": (F(frames.HEADERS, WHOLE, 1, b"\xff\xff\xff\xff\xff\xff"), Code.COMPRESSION_ERROR),
    "4.3-block-with-an-index-of-nothing": (F(frames.HEADERS, WHOLE, 1, b"\xfe"), Code.COMPRESSION_ERROR),
    "4.3-block-that-ends-too-early": (F(frames.HEADERS, WHOLE, 1, BLOCK[:-1]), Code.COMPRESSION_ERROR),
    "4.3.1-table-above-the-limit": (F(frames.HEADERS, WHOLE, 1, b"\x3f\xe2\x1f" + BLOCK), Code.COMPRESSION_ERROR),
    "5.1-data-on-an-idle-stream": (F(frames.DATA, 0, 1, b"x"), PROTOCOL),
    "5.1-reset-of-an-idle-stream": (F(frames.RST_STREAM, 0, 1, bytes(4)), PROTOCOL),
    "5.1-window-of-an-idle-stream": (F(frames.WINDOW_UPDATE, 0, 1, b"\0\0\0\1"), PROTOCOL),
    "5.1-bad-priority-of-an-idle-stream": (F(frames.PRIORITY, 0, 1, b""), SIZE),
    "5.1.1-even-stream": (F(frames.HEADERS, WHOLE, 2, BLOCK), PROTOCOL),
    "5.1.1-even-stream-that-was-refused": (
        F(frames.HEADERS, WHOLE, 3, BLOCK) + F(frames.PRIORITY, 0, 2, b"") + F(frames.HEADERS, WHOLE, 2, BLOCK),
        PROTOCOL,
    ),
    "5.1.1-stream-that-goes-back": (F(frames.HEADERS, WHOLE, 5, BLOCK) + F(frames.HEADERS, WHOLE, 3, BLOCK), Code.STREAM_CLOSED),
    "5.1.1-headers-on-stream-0": (F(frames.HEADERS, WHOLE, 0, BLOCK), PROTOCOL),
    "6.1-data-on-stream-0": (F(frames.DATA, 0, 0, b"x"), PROTOCOL),
    "6.1-padding-longer-than-data": (OPEN + F(frames.DATA, frames.PADDED, 1, b"\x04abc"), PROTOCOL),
    "6.1-padding-without-its-length": (OPEN + F(frames.DATA, frames.PADDED, 1, b""), SIZE),
    "6.2-padding-longer-than-headers": (F(frames.HEADERS, WHOLE | frames.PADDED, 1, b"\xff" + BLOCK), PROTOCOL),
    "6.2-priority-without-room": (F(frames.HEADERS, WHOLE | frames.HAS_PRIORITY, 1, b"abcd"), SIZE),
    "6.3-priority-on-stream-0": (F(frames.PRIORITY, 0, 0, bytes(5)), PROTOCOL),
    "6.4-reset-of-stream-0": (F(frames.RST_STREAM, 0, 0, bytes(4)), PROTOCOL),
    "6.4-reset-of-another-size": (ASK + F(frames.RST_STREAM, 0, 1, bytes(5)), SIZE),
    "6.5-settings-on-a-stream": (F(frames.SETTINGS, 0, 1, b""), PROTOCOL),
    "6.5-settings-of-another-size": (F(frames.SETTINGS, 0, 0, bytes(5)), SIZE),
    "6.5-acknowledgement-with-settings": (F(frames.SETTINGS, frames.ACK, 0, bytes(6)), SIZE),
    "6.5.2-push-neither-0-nor-1": (frames.settings([(2, 2)]), PROTOCOL),
    "6.5.2-window-above-the-limit": (frames.settings([(4, 1 << 31)]), FLOW),
    "6.5.2-frame-size-too-small": (frames.settings([(5, 16_383)]), PROTOCOL),
    "6.5.2-frame-size-too-large": (frames.settings([(5, 1 << 24)]), PROTOCOL),
    "6.6-push-from-a-client": (F(frames.PUSH_PROMISE, 4, 1, bytes(4) + BLOCK), PROTOCOL),
    "6.7-ping-on-a-stream": (F(frames.PING, 0, 1, bytes(8)), PROTOCOL),
    "6.7-ping-of-another-size": (F(frames.PING, 0, 0, bytes(7)), SIZE),
    "6.8-goaway-on-a-stream": (F(frames.GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "6.8-goaway-of-another-size": (F(frames.GOAWAY, 0, 0, bytes(7)), SIZE),
    "6.9-window-by-0": (F(frames.WINDOW_UPDATE, 0, 0, bytes(4)), PROTOCOL),
    "6.9-window-of-another-size": (F(frames.WINDOW_UPDATE, 0, 0, bytes(3)), SIZE),
    "6.9.1-window-above-the-limit": (F(frames.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), FLOW),
    "6.9.2-streams-above-the-limit": (
        ASK + F(frames.WINDOW_UPDATE, 0, 1, (0x7FFFFFFF - 65_535).to_bytes(4, "big")) + frames.settings([(4, 65_536)]),
        FLOW,
    ),
    "6.10-continuation-of-nothing": (F(frames.CONTINUATION, 4, 1, BLOCK), PROTOCOL),
    "6.10-continuation-of-what-has-ended": (OPEN + F(frames.CONTINUATION, 4, 1, BLOCK), PROTOCOL),
}


@pytest.mark.parametrize(("data", "code"), VIOLATIONS.values(), ids=VIOLATIONS)
@pytest.mark.parametrize("piece", [1 << 20, 1], ids=["at-once", "by-bytes"])
def test_violation_ends_the_connection(peer: Peer, data: bytes, code: Code, piece: int) -> None:
    """The client hears why by GOAWAY; the owner hears it once; what comes then is dropped."""
    for start in range(0, len(data), piece):
        peer.say(data[start : start + piece])

    assert peer.goaway is code
    assert [event.code for event in peer.events if isinstance(event, Over)] == [code]
    assert peer.server.is_over
    assert peer.server.open_streams == 0
    assert peer.ask(1001) == []


PREFACES: Final = {
    "http-1": b"GET / HTTP/1.1\r\nhost: server\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(24),
    "almost": frames.PREFACE[:-1] + b"x",
    "ping-first": frames.PREFACE + F(frames.PING, 0, 0, bytes(8)),
    "acknowledgement-first": frames.PREFACE + F(frames.SETTINGS, frames.ACK, 0, b""),
}


@pytest.mark.parametrize("data", PREFACES.values(), ids=PREFACES)
def test_other_preface_ends_the_connection(data: bytes) -> None:
    """Section 3.4: the first bytes are those of HTTP/2, and SETTINGS follow."""
    peer = Peer()

    peer.say(data)

    assert peer.goaway is Code.PROTOCOL_ERROR
    assert not peer.server.greeted


def test_preface_in_single_bytes_is_taken() -> None:
    """However it arrives; the server's own SETTINGS do not wait for it."""
    peer = Peer()
    peer.look()
    first = peer.seen[0]

    for byte in frames.PREFACE + frames.settings([]):
        peer.say(bytes([byte]))

    assert (first.kind, first.flags, first.stream_id) == (frames.SETTINGS, 0, 0)
    assert peer.server.greeted
    peer.assert_alive()


def test_what_is_not_known_is_ignored(peer: Peer) -> None:
    """Sections 4.1, 5.5 and 6.5.2: types of frames, flags, settings, the reserved bit, PRIORITY in both of its forms."""
    peer.frame(0xFA, 0xFF, 77, b"grease")
    peer.say(frames.settings([(0x1A1A, 5), (0xFE03, 1)]))
    peer.frame(frames.PRIORITY, 0, 7, bytes(5))
    peer.frame(frames.PING, 0xFE, 1 << 31, b"12345678")
    peer.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM | frames.HAS_PRIORITY, 1 << 31 | 9, b"\0\0\0\x09\xff" + BLOCK)

    assert peer.opened == [9]
    assert (frames.PING, frames.ACK, 0, b"12345678") in peer.seen
    peer.assert_alive()


def test_settings_and_pings_are_answered(peer: Peer) -> None:
    """Sections 6.5.3 and 6.7: an acknowledgement for each, none for acknowledgements; the answer to a ping of ours is an event."""
    peer.say(frames.settings([(3, 7)]))
    peer.frame(frames.PING, 0, 0, b"abcdefgh")
    peer.frame(frames.SETTINGS, frames.ACK)
    (ponged,) = peer.frame(frames.PING, frames.ACK, 0, b"12345678")

    assert [(seen.kind, seen.flags, seen.payload) for seen in peer.seen] == [
        (frames.SETTINGS, frames.ACK, b""),
        (frames.PING, frames.ACK, b"abcdefgh"),
    ]
    assert ponged.payload == b"12345678"


def test_goaway_of_the_client_changes_nothing(peer: Peer) -> None:
    """Section 6.8: what it has asked is answered."""
    peer.ask(1)
    peer.frame(frames.GOAWAY, 0, 0, bytes(8) + b"bye")
    peer.answer(1)

    assert peer.body(1) == b"answer"
    assert peer.goaway is None


def test_block_in_many_frames_is_one(peer: Peer) -> None:
    """Section 6.10, with padding and priority in the first frame."""
    first = b"\x03" + bytes(5) + BLOCK[:2] + bytes(3)
    peer.frame(frames.HEADERS, frames.END_STREAM | frames.PADDED | frames.HAS_PRIORITY, 1, first)
    for at in range(2, len(BLOCK)):
        peer.frame(frames.CONTINUATION, frames.END_HEADERS if at == len(BLOCK) - 1 else 0, 1, BLOCK[at : at + 1])

    (opened,) = peer.events
    assert (opened.stream_id, opened.ended, opened.head.path) == (1, True, "/service/Method")


def test_table_size_that_the_client_lowers_is_acknowledged_in_the_next_block() -> None:
    """Section 4.3.1 and RFC 7541, section 4.2: strict decoders insist."""
    peer = Peer().greet((1, 0))
    peer.decoder.max_allowed_table_size = 0

    for stream_id in (1, 3):
        peer.ask(stream_id)
        peer.answer(stream_id)
    blocks = [seen.payload for seen in peer.seen if seen.kind == frames.HEADERS]

    assert [block[:1] for block in blocks].count(b"\x20") == 1
    assert [list(peer.decoder.decode(block)) for block in blocks][2] == [(":status", "200"), ("content-type", "text/plain")]


def test_requests_encoded_by_a_table_are_read(peer: Peer) -> None:
    """The table is the connection's: it is kept through requests that are refused too."""
    for number in range(1, 9, 2):
        peer.ask(number, block=peer.encoder.encode([*FIELDS, ("x-number", str(number))]))
    peer.ask(9, block=peer.encoder.encode([*FIELDS, ("Upper", "case")]))
    peer.ask(11, block=peer.encoder.encode([*FIELDS, ("x-number", "7")]))

    heads = [dict(event.head.fields) for event in peer.events if hasattr(event, "head")]
    assert [head[b"x-number"] for head in heads] == [b"1", b"3", b"5", b"7", b"7"]
    assert peer.reset_sent == {9: Code.PROTOCOL_ERROR}


def test_encoder_of_the_other_side_reads_long_blocks() -> None:
    """An answer whose fields do not fit into a frame is continued."""
    peer = Peer().greet()
    peer.ask(1)
    long = field_of(40_000)
    peer.server.send_trailers(1, b"\x88" + long)
    peer.look()

    kinds = [(seen.kind, bool(seen.flags & frames.END_HEADERS)) for seen in peer.seen]
    assert kinds == [(frames.HEADERS, False), (frames.CONTINUATION, False), (frames.CONTINUATION, True)]
    assert b"".join(seen.payload for seen in peer.seen) == b"\x88" + long
    assert peer.has_ended(1)


def field_of(size: int) -> bytes:
    """Return a field with a value of that size."""
    from penstock.http2.fields import field

    return field("x-long", b"v" * size)


def test_fields_are_what_another_decoder_reads() -> None:
    """RFC 7541: names and values of every length around those where the form of a length changes."""
    from penstock.http2.fields import field

    for size in (0, 1, 126, 127, 128, 254, 255, 256, 16_510, 16_511):
        value = b"v" * size
        (read,) = Peer().decoder.decode(field("x", value), raw=True)
        assert tuple(read) == (b"x", value)
    assert Encoder().header_table.maxsize == 4096
