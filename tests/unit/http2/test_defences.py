"""What a peer may not do more often, or more of, than a server can bear (RFC 9113, section 10.5); real clients stay below all of it."""

from collections.abc import Callable
from typing import Final

import pytest
from hpack import Encoder
from peer import BLOCK, FIELDS, Peer

from penstock.http2 import frames
from penstock.http2.errors import Code

F: Final = frames.frame
IDLE: Final = {
    "settings": F(frames.SETTINGS, 0, 0, b""),
    "acknowledgements": F(frames.SETTINGS, frames.ACK, 0, b""),
    "pings": F(frames.PING, 0, 0, bytes(8)),
    "answers-to-no-ping": F(frames.PING, frames.ACK, 0, bytes(8)),
    "priorities": F(frames.PRIORITY, 0, 1, bytes(5)),
    "goaways": F(frames.GOAWAY, 0, 0, bytes(8)),
    "unknown-frames": F(0x42, 0, 0, b""),
    "small-windows": F(frames.WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
    "small-windows-of-a-stream": F(frames.WINDOW_UPDATE, 0, 1, b"\0\0\0\1"),
    "empty-data": F(frames.DATA, 0, 1, b""),
    "padding-alone": F(frames.DATA, frames.PADDED, 1, b"\x05" + bytes(5)),
    "data-in-single-bytes": F(frames.DATA, 0, 1, b"x"),
}


@pytest.mark.parametrize("data", IDLE.values(), ids=IDLE)
def test_frames_that_ask_for_nothing_are_borne_up_to_a_number(data: bytes) -> None:
    """Floods of settings, pings, priorities, empty DATA, and windows that open by single bytes."""
    peer = Peer(idle_frames=100).greet()
    peer.ask(1, end=False)

    peer.say(data * 99)
    borne = peer.goaway
    peer.say(data * 2)

    assert borne is None
    assert peer.goaway is Code.ENHANCE_YOUR_CALM


def test_small_messages_of_a_stream_are_no_flood() -> None:
    """Thousands of them before the first is answered; nor is an empty end of each of many requests."""
    peer = Peer(idle_frames=100).greet()
    peer.ask(1, end=False)
    for _ in range(3_000):
        peer.data(1, b"small")
    for number in range(90):
        peer.ask(2 * number + 3, end=False)
        peer.data(2 * number + 3, b"", end=True)

    assert peer.goaway is None
    assert len(peer.received) == 3_090


@pytest.mark.parametrize("progress", ["an answer", "a message in a stream", "a second", "real data"])
def test_frames_are_forgiven_where_work_gets_done(progress: str) -> None:
    """Clients probe the bandwidth by pings as their data flow."""
    peer = Peer(idle_frames=100).greet()
    peer.ask(3, end=False)
    for number in range(5):
        peer.say(IDLE["pings"] * 90)
        if progress == "an answer":
            peer.assert_alive(2 * number + 11)
        elif progress == "a message in a stream":
            peer.server.send_data(3, b"message")
        elif progress == "a second":
            peer.server.second_passed()
        else:
            peer.data(3, bytes(1024))

    assert peer.goaway is None


def reset(peer: Peer, stream_id: int) -> None:
    """CVE-2023-44487: ask and reset."""
    peer.ask(stream_id)
    peer.frame(frames.RST_STREAM, 0, stream_id, b"\0\0\0\x08")


def provoke(peer: Peer, stream_id: int) -> None:
    """CVE-2025-8671: ask, and have the server reset."""
    peer.ask(stream_id)
    peer.frame(frames.WINDOW_UPDATE, 0, stream_id, bytes(4))


def malform(peer: Peer, stream_id: int) -> None:
    """The same by requests that are none."""
    peer.ask(stream_id, block=Encoder().encode(FIELDS[1:]))


@pytest.mark.parametrize("act", [reset, provoke, malform])
def test_rapid_resets_end_the_connection(act: Callable[[Peer, int], None]) -> None:
    """Streams that end before their answer make work for which their number is no limit."""
    peer = Peer(resets=50).greet()
    for number in range(50):
        act(peer, 2 * number + 1)
    borne = peer.goaway
    act(peer, 101)

    assert borne is None
    assert peer.goaway is Code.ENHANCE_YOUR_CALM


def test_refused_streams_count_as_resets() -> None:
    """More streams than allowed, again and again."""
    peer = Peer(resets=50, max_streams=1).greet()
    for number in range(52):
        peer.ask(2 * number + 1)

    assert len(peer.reset_sent) == 50
    assert peer.goaway is Code.ENHANCE_YOUR_CALM


def test_a_client_that_cancels_every_second_call_is_borne() -> None:
    """Answers make good for resets."""
    peer = Peer(resets=50).greet()
    for number in range(500):
        reset(peer, 4 * number + 1)
        peer.ask(4 * number + 3)
        peer.answer(4 * number + 3)

    assert peer.goaway is None


def test_endless_field_block_ends_the_connection() -> None:
    """CVE-2024-27316: CONTINUATION without an end is not gathered for ever."""
    peer = Peer(max_header_bytes=1000).greet()
    peer.frame(frames.HEADERS, 0, 1, BLOCK)
    sent = 0
    while peer.goaway is None and sent < 100_000:
        peer.frame(frames.CONTINUATION, 0, 1, bytes(1000))
        sent += 1000

    assert peer.goaway is Code.ENHANCE_YOUR_CALM
    assert sent <= 5_000


def test_field_block_of_endless_empty_frames_ends_the_connection() -> None:
    """The same without a single byte."""
    peer = Peer(idle_frames=100).greet()
    peer.frame(frames.HEADERS, 0, 1, BLOCK)
    peer.say(F(frames.CONTINUATION, 0, 1, b"") * 101)

    assert peer.goaway is Code.ENHANCE_YOUR_CALM


def test_fields_that_unpack_to_far_too_much_end_the_connection() -> None:
    """A block of references to one long field of the table."""
    peer = Peer(max_header_bytes=10_000).greet()
    encoder = Encoder()
    peer.ask(1, block=encoder.encode([*FIELDS, ("x-bomb", "b" * 3_900)]))
    peer.ask(3, block=encoder.encode([*FIELDS, *[("x-bomb", "b" * 3_900)] * 1_000]))

    assert peer.opened == [1]
    assert peer.goaway is Code.ENHANCE_YOUR_CALM


def test_many_small_fields_count_for_more_than_their_bytes() -> None:
    """Section 6.5.2: 32 bytes for each, since each is an object."""
    peer = Peer(max_header_bytes=10_000).greet()
    peer.ask(1, block=Encoder().encode([*FIELDS, *[("a", "")] * 320]))

    assert peer.events[0].head is None


def test_long_integers_are_refused(peer: Peer) -> None:
    """RFC 7541, section 5.1: a length of endlessly many bytes."""
    peer.ask(1, block=b"\x00\x7f" + b"\x80" * 100 + b"\x01")

    assert peer.goaway is Code.COMPRESSION_ERROR


def test_stalled_reader_holds_no_more_than_its_answers(peer: Peer) -> None:
    """A window of 0: what waits is what was asked for, and goes with its stream."""
    peer.say(frames.settings([(4, 0)]))
    for number in range(50):
        peer.ask(2 * number + 1)
        peer.answer(2 * number + 1, bytes(10_000))
    waits = len(peer.server.stalled(-1))
    for number in range(50):
        peer.frame(frames.RST_STREAM, 0, 2 * number + 1, b"\0\0\0\x08")

    assert waits == 50
    assert peer.server.stalled(-1) == []
    assert peer.server.open_streams == 0


def test_what_is_remembered_of_closed_streams_is_bounded() -> None:
    """The oldest resets of ours are forgotten; a frame on one of them then ends the connection."""
    peer = Peer(resets=10_000).greet()
    for number in range(1_100):
        peer.ask(2 * number + 1, end=False)
        peer.server.reset(2 * number + 1, Code.CANCEL)
    peer.data(2_199, b"x")
    borne = peer.goaway
    peer.data(1, b"x")

    assert borne is None
    assert peer.goaway is Code.STREAM_CLOSED


def test_first_flight_may_hold_everything() -> None:
    """A client that does not wait for our SETTINGS is none that floods: a hundred requests at once are answered."""
    peer = Peer().greet()
    peer.say(b"".join(F(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 2 * n + 1, BLOCK) for n in range(100)))
    for number in range(100):
        peer.answer(2 * number + 1)

    assert all(peer.has_ended(2 * number + 1) for number in range(100))


@pytest.mark.parametrize("in_pieces", [False, True])
def test_endless_block_in_one_frame_ends_the_connection_too(in_pieces: bool) -> None:
    """Frames are larger than blocks may be."""
    peer = Peer(max_header_bytes=1_000, max_frame_bytes=1 << 17).greet()
    block = bytes([0x20]) * 5_000 + BLOCK
    if in_pieces:
        peer.frame(frames.HEADERS, 0, 1, block[:2_000])
        peer.frame(frames.CONTINUATION, frames.END_HEADERS, 1, block[2_000:])
    else:
        peer.ask(1, block=block)

    assert peer.goaway is Code.ENHANCE_YOUR_CALM
    assert not peer.opened


@pytest.mark.parametrize(("changes", "goaway"), [(2, None), (3, Code.COMPRESSION_ERROR)])
def test_block_changes_the_size_of_the_table_twice_at_most(peer: Peer, changes: int, goaway: Code | None) -> None:
    """RFC 7541, section 4.2; each change takes a microsecond, of a byte that no other limit counts."""
    peer.ask(1, block=bytes([0x20]) * changes + BLOCK)

    assert peer.goaway is goaway


def test_data_under_way_behind_a_reset_of_ours_is_no_flood() -> None:
    """RFC 9113, section 5.1, closed: thousands of small messages may have been sent before the peer heard of the reset."""
    peer = Peer(idle_frames=100, stream_window_bytes=20_000).greet()
    peer.ask(1, end=False)
    peer.data(1, bytes(5_000))
    peer.server.reset(1, Code.CANCEL)
    for _ in range(1_500):
        peer.data(1, bytes(10))
    assert peer.goaway is None
    peer.data(1, b"x")

    assert peer.goaway is Code.FLOW_CONTROL_ERROR


def test_empty_data_behind_a_reset_of_ours_are_a_flood() -> None:
    """No window bounds those."""
    peer = Peer(idle_frames=100).greet()
    peer.ask(1, end=False)
    peer.server.reset(1, Code.CANCEL)
    for _ in range(101):
        peer.data(1, b"")

    assert peer.goaway is Code.ENHANCE_YOUR_CALM
