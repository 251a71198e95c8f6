"""Windows, both ways (RFC 9113, sections 5.2 and 6.9)."""

from typing import Final

import pytest
from peer import BLOCK, FIELDS, OPENING, TRAILERS, Peer

from penstock.http2 import frames
from penstock.http2.errors import Code
from penstock.http2.events import Drained


def window(by: int) -> bytes:
    """Return the payload of WINDOW_UPDATE."""
    return by.to_bytes(4, "big")


def test_windows_open_by_what_is_consumed() -> None:
    """Not by what arrives: a body that nobody reads stops its sender."""
    peer = Peer(stream_window_bytes=1000, window_bytes=100_000).greet()
    peer.ask(1, end=False)
    peer.data(1, bytes(1000))
    before = peer.windows(1)
    peer.server.consumed(1, 400)
    peer.look()
    small = peer.windows(1)
    peer.server.consumed(1, 100)
    peer.look()

    assert (before, small, peer.windows(1)) == (0, 0, 500)


def test_more_than_the_stream_s_window_ends_the_stream() -> None:
    """Section 6.9.1."""
    peer = Peer(stream_window_bytes=1000, window_bytes=100_000).greet()
    peer.ask(1, end=False)
    peer.data(1, bytes(1001))

    assert peer.reset_sent == {1: Code.FLOW_CONTROL_ERROR}
    peer.assert_alive()


def test_more_than_the_connection_s_window_ends_the_connection() -> None:
    """Section 6.9.1."""
    peer = Peer(stream_window_bytes=100_000, window_bytes=70_000).greet()
    for stream_id in (1, 3):
        peer.ask(stream_id, end=False)
    for _ in range(5):
        peer.data(1, bytes(14_000))
    assert peer.goaway is None
    peer.data(3, b"x")

    assert peer.goaway is Code.FLOW_CONTROL_ERROR


HOW: Final = (
    "reset by the peer",
    "reset by us",
    "answered",
    "refused",
    "of another length",
    "above its window",
    "behind its end",
    "padded behind its end",
    "padded",
)


@pytest.mark.parametrize("how", HOW)
def test_connection_s_window_is_given_back_for_streams_that_are_over(how: str) -> None:
    """However a stream ends with DATA that nobody has consumed: the connection must not dry up, nor open by more than came."""
    peer = Peer(stream_window_bytes=10_000 if how == "above its window" else 40_000, window_bytes=70_000).greet()
    block = peer.encoder.encode([*FIELDS, ("content-length", "5")]) if how == "of another length" else BLOCK
    for number in range(20):
        stream_id = 2 * number + 1
        peer.ask(stream_id, end=how.endswith("behind its end"), block=block)
        if how == "refused":
            peer.server.reset(stream_id, Code.CANCEL)
        padding = frames.PADDED if "padded" in how else 0
        end = frames.END_STREAM if how in ("answered", "padded") else 0
        peer.frame(frames.DATA, padding | end, stream_id, bytes([200]) + bytes(14_999))
        if how == "reset by the peer":
            peer.frame(frames.RST_STREAM, 0, stream_id, bytes(4))
        elif how == "reset by us":
            peer.server.reset(stream_id, Code.CANCEL)
        elif how in ("answered", "padded"):
            peer.answer(stream_id, b"x")
        peer.look()

    assert peer.goaway is None
    assert peer.server.open_streams == 0
    assert 300_000 - 35_000 < peer.windows(0) <= 300_000


def test_answer_keeps_to_the_stream_s_window() -> None:
    """And goes on as it opens; the trailers come last."""
    peer = Peer().greet((4, 10))
    peer.ask(1)
    peer.answer(1, bytes(range(30)))
    first = peer.body(1)
    events = peer.frame(frames.WINDOW_UPDATE, 0, 1, window(15))
    second = peer.body(1), peer.has_ended(1)
    peer.frame(frames.WINDOW_UPDATE, 0, 1, window(5))

    assert first == bytes(range(10))
    assert second == (bytes(range(25)), False)
    assert events == []
    assert peer.body(1) == bytes(range(30))
    assert peer.has_ended(1)
    assert peer.server.open_streams == 0


def test_answer_keeps_to_the_connection_s_window_and_streams_take_turns(peer: Peer) -> None:
    """65,535 bytes for all until the peer gives more, of which each stream gets some."""
    peer.frame(frames.SETTINGS, 0, 0, b"\0\4" + window(1 << 20))
    for stream_id in (1, 3):
        peer.ask(stream_id)
        peer.answer(stream_id, bytes(100_000))
    first = len(peer.body(1)), len(peer.body(3))
    peer.frame(frames.WINDOW_UPDATE, 0, 0, window(65_536))

    assert first == (65_535, 0)
    assert len(peer.body(1)) + len(peer.body(3)) == 65_535 + 65_536
    assert len(peer.body(3)) >= 32_768
    peer.frame(frames.WINDOW_UPDATE, 0, 0, window(1 << 20))
    assert (len(peer.body(1)), len(peer.body(3))) == (100_000, 100_000)
    assert peer.has_ended(1)
    assert peer.has_ended(3)


def test_frames_keep_to_the_peer_s_size() -> None:
    """Section 4.2: 16 KiB, or what it allows."""
    peer = Peer().greet((4, 1 << 20), (5, 20_000))
    peer.ask(1)
    peer.answer(1, bytes(50_000))

    assert [len(seen.payload) for seen in peer.seen if seen.kind == frames.DATA] == [20_000, 20_000, 10_000]


def test_settings_change_the_windows_of_open_streams() -> None:
    """Section 6.9.2: up, and down below zero."""
    peer = Peer().greet((4, 100))
    peer.ask(1)
    peer.answer(1, bytes(300))
    peer.say(frames.settings([(4, 50)]))
    peer.frame(frames.WINDOW_UPDATE, 0, 1, window(50))
    after_down = len(peer.body(1))
    peer.say(frames.settings([(4, 151)]))
    after_up = len(peer.body(1))
    peer.say(frames.settings([(4, 1000)]))

    assert (after_down, after_up, len(peer.body(1))) == (100, 201, 300)


@pytest.mark.parametrize("by", [0, 0x7FFFFFFF])
def test_bad_update_of_a_stream_ends_the_stream(peer: Peer, by: int) -> None:
    """Sections 6.9 and 6.9.1: by nothing, or beyond the limit."""
    peer.ask(1)
    peer.frame(frames.WINDOW_UPDATE, 0, 1, window(by))

    assert peer.reset_sent == {1: Code.FLOW_CONTROL_ERROR if by else Code.PROTOCOL_ERROR}
    peer.assert_alive()


def test_owner_hears_when_what_waited_has_passed() -> None:
    """So that who streams an answer writes no faster than it is read."""
    peer = Peer().greet((4, 10))
    peer.ask(1)
    peer.server.send_headers(1, OPENING)
    passed = [peer.server.send_data(1, bytes(10)), peer.server.send_data(1, bytes(10)), peer.server.send_data(1, bytes(5))]
    early = peer.frame(frames.WINDOW_UPDATE, 0, 1, window(12))
    late = peer.frame(frames.WINDOW_UPDATE, 0, 1, window(12))
    peer.server.send_trailers(1, TRAILERS)
    peer.look()

    assert passed == [True, False, False]
    assert (early, late) == ([], [Drained(1)])
    assert len(peer.body(1)) == 25
    assert peer.has_ended(1)


def test_stream_of_which_nothing_is_read_is_known() -> None:
    """Its owner can then end it; a stream that trickles on is none."""
    peer = Peer().greet((4, 0))
    for stream_id in (1, 3, 5):
        peer.ask(stream_id)
        peer.answer(stream_id, bytes(2) if stream_id < 5 else b"")
    for second in range(4):
        peer.server.second_passed()
        if second == 2:
            peer.frame(frames.WINDOW_UPDATE, 0, 3, window(1))

    assert peer.server.stalled(3) == [1]
    peer.server.reset(1, Code.CANCEL)
    assert peer.server.stalled(3) == []


def test_streams_take_turns_from_one_update_to_the_next(peer: Peer) -> None:
    """A client that opens the connection by a frame at a time reads all of its streams, and none of them counts as stalled."""
    peer.frame(frames.SETTINGS, 0, 0, b"\0\4" + window(1 << 20))
    for stream_id in (1, 3, 5):
        peer.ask(stream_id)
        peer.answer(stream_id, bytes(200_000))
    before = [len(peer.body(stream_id)) for stream_id in (1, 3, 5)]
    for _ in range(9):
        peer.server.second_passed()
        peer.frame(frames.WINDOW_UPDATE, 0, 0, window(16_384))

    after = [len(peer.body(stream_id)) for stream_id in (1, 3, 5)]
    assert [now - then for now, then in zip(after, before, strict=True)] == [3 * 16_384] * 3
    assert peer.server.stalled(3) == []
