"""The way out: GOAWAY in two steps, so that no request is lost on its way (RFC 9113, section 6.8)."""

from peer import Peer

from penstock.http2 import frames
from penstock.http2.errors import Code


def last_streams(peer: Peer) -> list[int]:
    """Return the last stream of each GOAWAY."""
    return [int.from_bytes(seen.payload[:4], "big") for seen in peer.seen if seen.kind == frames.GOAWAY]


def pings(peer: Peer) -> list[bytes]:
    """Return what is in the pings of the server."""
    return [seen.payload for seen in peer.seen if seen.kind == frames.PING and not seen.flags]


def test_leaving_server_takes_what_is_on_its_way(peer: Peer) -> None:
    """First a GOAWAY for any stream; once the peer must have heard of it, one for the last stream that was taken."""
    peer.ask(1)
    peer.server.begin_leaving()
    peer.server.begin_leaving()
    peer.look()
    peer.ask(3)
    (ping,) = pings(peer)
    peer.frame(frames.PING, frames.ACK, 0, ping)
    peer.ask(5)
    peer.data(5, b"dropped", end=False)

    assert last_streams(peer) == [0x7FFFFFFF, 3]
    assert peer.opened == [1, 3]
    assert peer.goaway is Code.NO_ERROR
    assert not peer.server.has_left
    peer.answer(1)
    peer.answer(3)
    assert peer.has_ended(3)
    assert peer.server.has_left


def test_leaving_need_not_wait_for_the_peer(peer: Peer) -> None:
    """One that does not answer is left anyway, once."""
    peer.server.begin_leaving()
    peer.server.finish_leaving()
    peer.server.finish_leaving()
    peer.look()

    assert last_streams(peer) == [0x7FFFFFFF, 0]
    assert peer.server.has_left


def test_tables_stay_in_step_through_requests_that_come_too_late(peer: Peer) -> None:
    """What is not answered is decoded all the same."""
    from peer import FIELDS

    peer.ask(1, end=False)
    peer.server.finish_leaving()
    peer.ask(3, block=peer.encoder.encode([*FIELDS, ("x-late", "1")]))
    peer.ask(1, block=peer.encoder.encode([("x-late", "1")]))

    assert peer.received == [(1, b"", True)]
    assert peer.goaway is Code.NO_ERROR


def test_closing_ends_all_streams(peer: Peer) -> None:
    """At once, with the reason; nothing is read or sent after it."""
    peer.ask(1)
    peer.server.close(Code.NO_ERROR, "enough")
    peer.server.close(Code.INTERNAL_ERROR, "again")
    peer.server.begin_leaving()
    peer.look()
    (goaway,) = peer.seen
    peer.answer(1)

    assert goaway.payload == b"\0\0\0\1" + bytes(4) + b"enough"
    assert peer.server.has_left
    assert peer.ask(3) == []
    assert len(peer.seen) == 1
