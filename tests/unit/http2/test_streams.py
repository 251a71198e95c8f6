"""Streams: their states, what ends one of them alone, and answers (RFC 9113, sections 5.1, 5.4.2 and 8)."""

from typing import Final

import pytest
from hpack import Encoder
from peer import BLOCK, FIELDS, Peer

from penstock.http2 import frames
from penstock.http2.errors import Code
from penstock.http2.streams import NEXT, State, Step

WHOLE: Final = frames.END_HEADERS | frames.END_STREAM


def test_table_of_states_is_that_of_the_rfc() -> None:
    """Figure 2 of section 5.1 without pushed streams: every step that is not in it is refused."""
    steps = {(state, step): NEXT[state].get(step) for state in State for step in Step}

    assert {key: state for key, state in steps.items() if state is not None} == {
        (State.IDLE, Step.OPENS): State.OPEN,
        (State.OPEN, Step.PEER_ENDS): State.HALF_CLOSED_REMOTE,
        (State.OPEN, Step.WE_END): State.HALF_CLOSED_LOCAL,
        (State.OPEN, Step.RESETS): State.CLOSED,
        (State.HALF_CLOSED_REMOTE, Step.WE_END): State.CLOSED,
        (State.HALF_CLOSED_REMOTE, Step.RESETS): State.CLOSED,
        (State.HALF_CLOSED_LOCAL, Step.PEER_ENDS): State.CLOSED,
        (State.HALF_CLOSED_LOCAL, Step.RESETS): State.CLOSED,
    }


def test_request_and_answer(peer: Peer) -> None:
    """HEADERS, DATA, END_STREAM, and the same back, with trailers."""
    peer.ask(1, end=False)
    peer.data(1, b"ques")
    peer.data(1, b"tion", end=True)
    peer.answer(1)

    assert peer.opened == [1]
    assert peer.received == [(1, b"ques", False), (1, b"tion", True)]
    assert [(seen.kind, seen.flags) for seen in peer.seen] == [
        (frames.HEADERS, frames.END_HEADERS),
        (frames.DATA, 0),
        (frames.HEADERS, WHOLE),
    ]
    assert peer.server.open_streams == 0


def test_request_ends_with_trailers(peer: Peer) -> None:
    """Section 8.1: a second block of fields ends the body."""
    peer.ask(1, end=False)
    peer.data(1, b"body")
    peer.ask(1, block=Encoder().encode([("checksum", "1")]))

    assert peer.received == [(1, b"body", False), (1, b"", True)]


def test_padding_is_taken_off(peer: Peer) -> None:
    """Section 6.1: and it counts for the windows as if it had been consumed."""
    peer.ask(1, end=False)
    peer.frame(frames.DATA, frames.PADDED, 1, b"\x03abc" + bytes(3))
    peer.frame(frames.DATA, frames.PADDED | frames.END_STREAM, 1, b"\x00d")

    assert peer.received == [(1, b"abc", False), (1, b"d", True)]


FIELDS_OF: Final = dict(FIELDS)


def changed(**fields: str | None) -> list[tuple[str, str]]:
    """Return the fields of a request, some of the pseudo-header fields changed or left out."""
    pseudo = {**{name[1:]: value for name, value in FIELDS if name[0] == ":"}, **fields}
    return [(f":{name}", value) for name, value in pseudo.items() if value is not None]


MALFORMED: Final = {
    "8.2.1-upper-case": [*FIELDS, ("Name", "x")],
    "8.2.1-blank-in-a-name": [*FIELDS, ("na me", "x")],
    "8.2.1-empty-name": [*FIELDS, ("", "x")],
    "8.2.1-name-of-other-bytes": [*FIELDS, (b"n\xff", b"x")],
    "8.2.1-colon-in-a-name": [*FIELDS, ("na:me", "x")],
    "8.2.1-line-end-in-a-value": [*FIELDS, ("name", "a\r\nb: c")],
    "8.2.1-nul-in-a-value": [*FIELDS, ("name", "a\0b")],
    "8.2.1-blanks-around-a-value": [*FIELDS, ("name", " x")],
    "8.2.1-tab-behind-a-value": [*FIELDS, ("name", "x\t")],
    "8.2.2-connection": [*FIELDS, ("connection", "close")],
    "8.2.2-transfer-encoding": [*FIELDS, ("transfer-encoding", "chunked")],
    "8.2.2-upgrade": [*FIELDS, ("upgrade", "h2c")],
    "8.2.2-keep-alive": [*FIELDS, ("keep-alive", "1")],
    "8.2.2-proxy-connection": [*FIELDS, ("proxy-connection", "1")],
    "8.2.2-te": [*FIELDS[:-1], ("te", "gzip")],
    "8.3-pseudo-behind-others": [*FIELDS[:3], ("name", "x"), FIELDS[3]],
    "8.3-unknown-pseudo": [*FIELDS, (":name", "x")][::-1],
    "8.3-pseudo-of-an-answer": [(":status", "200"), *FIELDS],
    "8.3-pseudo-twice": [FIELDS[0], *FIELDS],
    "8.3.1-no-method": changed(method=None),
    "8.3.1-no-scheme": changed(scheme=None),
    "8.3.1-no-path": changed(path=None),
    "8.3.1-empty-path": changed(path=""),
    "8.3.1-path-without-slash": changed(path="service/Method"),
    "8.3.1-star-for-a-post": changed(path="*"),
    "8.3.1-host-and-authority-differ": [*FIELDS, ("host", "elsewhere")],
    "8.5-connect-with-a-path": changed(method="CONNECT"),
    "8.1.1-content-length-of-nothing": [*FIELDS, ("content-length", "5")],
    "8.1.1-content-length-that-is-none": [*FIELDS, ("content-length", "+5")],
    "8.1.1-two-content-lengths": [*FIELDS, ("content-length", "5"), ("content-length", "6")],
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED)
def test_malformed_request_ends_its_stream_alone(peer: Peer, fields: list[tuple[str, str]]) -> None:
    """Section 8.1.1: PROTOCOL_ERROR on the stream; the owner hears nothing of it."""
    peer.ask(1, block=peer.encoder.encode(fields))

    assert peer.reset_sent == {1: Code.PROTOCOL_ERROR}
    assert peer.opened == []
    peer.assert_alive()


WELL_FORMED: Final = {
    "star-for-options": changed(method="OPTIONS", path="*"),
    "connect": changed(method="CONNECT", scheme=None, path=None),
    "host-that-agrees": [*FIELDS, ("host", "SERVER")],
    "empty-value": [*FIELDS, ("name", "")],
    "value-of-other-bytes": [*FIELDS, (b"name", b"\xff \x80")],
    "content-length-twice-the-same": [*FIELDS, ("content-length", "0"), ("content-length", "0")],
    "no-authority": changed(authority=None),
}


@pytest.mark.parametrize("fields", WELL_FORMED.values(), ids=WELL_FORMED)
def test_what_is_allowed_is_taken(peer: Peer, fields: list[tuple[str, str]]) -> None:
    """The other side of the same rules."""
    peer.ask(1, block=peer.encoder.encode(fields))

    assert peer.opened == [1]


@pytest.mark.parametrize(("length", "parts"), [("5", [b"abcdef"]), ("5", [b"abc", b"d"]), ("0", [b"a"]), ("9" * 30, [b"a"])])
def test_body_of_another_length_ends_its_stream(peer: Peer, length: str, parts: list[bytes]) -> None:
    """Section 8.1.1: too much at once, too little at the end."""
    peer.ask(1, end=False, block=peer.encoder.encode([*FIELDS, ("content-length", length)]))
    for number, part in enumerate(parts, 1):
        peer.data(1, part, end=number == len(parts))

    assert peer.reset_sent == {1: Code.PROTOCOL_ERROR}
    assert peer.resets == [(1, Code.PROTOCOL_ERROR)]
    peer.assert_alive()


def test_body_of_the_told_length_is_taken(peer: Peer) -> None:
    """And trailers may follow it."""
    block = peer.encoder.encode([*FIELDS, ("content-length", "5")])
    peer.ask(1, end=False, block=block)
    peer.data(1, b"hello")
    peer.ask(1, block=peer.encoder.encode([("x", "y")]))

    assert peer.reset_sent == {}
    assert peer.received[-1] == (1, b"", True)


TRAILERS: Final = {
    "pseudo": ([(":path", "/")], True, Code.PROTOCOL_ERROR),
    "not-the-end": ([("x", "y")], False, Code.PROTOCOL_ERROR),
    "upper-case": ([("X", "y")], True, Code.PROTOCOL_ERROR),
}


@pytest.mark.parametrize(("fields", "end", "code"), TRAILERS.values(), ids=TRAILERS)
def test_bad_trailers_end_the_stream(peer: Peer, fields: list[tuple[str, str]], end: bool, code: Code) -> None:
    """Section 8.1."""
    peer.ask(1, end=False)
    peer.ask(1, end=end, block=peer.encoder.encode(fields))

    assert peer.reset_sent == {1: code}
    assert peer.resets == [(1, code)]


@pytest.mark.parametrize("kind", [frames.DATA, frames.HEADERS])
def test_more_behind_the_end_ends_the_stream(peer: Peer, kind: int) -> None:
    """Section 5.1, half-closed (remote): STREAM_CLOSED."""
    peer.ask(1)
    peer.frame(kind, WHOLE, 1, BLOCK if kind == frames.HEADERS else b"more")

    assert peer.reset_sent == {1: Code.STREAM_CLOSED}
    assert peer.resets == [(1, Code.STREAM_CLOSED)]


@pytest.mark.parametrize("kind", [frames.DATA, frames.HEADERS])
def test_more_on_a_stream_that_both_have_ended_ends_the_connection(peer: Peer, kind: int) -> None:
    """Section 5.1, closed: STREAM_CLOSED."""
    peer.ask(1)
    peer.answer(1)
    peer.frame(kind, WHOLE, 1, BLOCK if kind == frames.HEADERS else b"more")

    assert peer.goaway is Code.STREAM_CLOSED


def test_what_crosses_a_reset_of_ours_is_ignored(peer: Peer) -> None:
    """Section 5.1, closed: the peer could not know. Its fields are decoded all the same, or the tables would differ."""
    peer.ask(1, end=False)
    peer.server.reset(1, Code.CANCEL)
    peer.data(1, bytes(100))
    peer.ask(1, block=peer.encoder.encode([("x-trailer", "kept in the table")]))
    peer.frame(frames.WINDOW_UPDATE, 0, 1, b"\0\0\1\0")
    peer.frame(frames.RST_STREAM, 0, 1, bytes(4))
    peer.ask(3, block=peer.encoder.encode([*FIELDS, ("x-trailer", "kept in the table")]))

    assert peer.opened == [1, 3]
    assert (b"x-trailer", b"kept in the table") in peer.events[-1].head.fields
    assert peer.goaway is None


def test_reset_of_the_peer_is_told_once(peer: Peer) -> None:
    """Section 6.4; what the owner still says of the stream is ignored."""
    peer.ask(1)
    peer.frame(frames.RST_STREAM, 0, 1, b"\0\0\0\x08")
    peer.frame(frames.RST_STREAM, 0, 1, b"\0\0\0\x08")
    peer.seen.clear()
    peer.answer(1)
    peer.server.send_headers(1, b"\x88")
    assert peer.server.send_data(1, b"x")
    peer.server.consumed(1, 1)
    peer.server.reset(1, Code.CANCEL)
    peer.look()

    assert peer.resets == [(1, 8)]
    assert peer.seen == []


def test_streams_above_the_limit_are_refused() -> None:
    """Section 5.1.2: REFUSED_STREAM, which says that it may be tried again; one that ends makes room."""
    peer = Peer(max_streams=2).greet()
    for stream_id in (1, 3, 5):
        peer.ask(stream_id)
    peer.answer(1)
    peer.ask(7)

    assert peer.opened == [1, 3, 7]
    assert peer.reset_sent == {5: Code.REFUSED_STREAM}


def test_answer_before_the_end_of_the_question(peer: Peer) -> None:
    """Section 8.1: what still comes is dropped, and the peer is asked to stop by NO_ERROR, but only if it goes on."""
    for stream_id in (1, 3, 5):
        peer.ask(stream_id, end=False)
        peer.answer(stream_id)
    peer.data(1, b"the end", end=True)
    peer.data(3, b"and on")
    after_data = dict(peer.reset_sent)
    for _ in range(2):
        peer.server.second_passed()
    peer.look()

    assert peer.received == []
    assert after_data == {3: Code.NO_ERROR}
    assert peer.reset_sent == {3: Code.NO_ERROR, 5: Code.NO_ERROR}
    assert peer.server.open_streams == 0
    peer.assert_alive()


def test_fields_that_are_too_long_are_told_to_the_owner() -> None:
    """Section 10.5.1: so that it can answer on the stream; the connection goes on, tables included."""
    peer = Peer(max_header_bytes=500).greet()
    peer.ask(1, block=peer.encoder.encode([*FIELDS, ("x-long", "v" * 600)]))
    peer.ask(3, block=peer.encoder.encode([*FIELDS, ("x-short", "v")]))

    first, second = peer.events
    assert first.head is None
    assert second.head.fields[-1] == (b"x-short", b"v")
    assert peer.goaway is None
