"""How long a connection of the native transport is waited for, and how long it lasts."""

import random
from typing import Final, Protocol

from penstock.domain.clock import NS_PER_S
from penstock.grpc.options import GrpcOptions
from penstock.http2.sending import Sending

_LINGER_S: Final = 2.0
"""How long bytes of a client are still read and dropped, so that it sees our last words instead of a reset."""
_LEAVE_S: Final = 5.0
"""How long a client may take to answer to the first GOAWAY, before the second one follows anyway."""
_PING: Final = b"penstock"
_SPREAD: Final = 0.1
"""Part of the age by which connections differ, so that they do not all come back at once."""


class Watched(Protocol):
    """A connection."""

    @property
    def http2(self) -> Sending:
        """The protocol of the connection."""

    @property
    def greeted(self) -> bool:
        """Whether the client has said what it speaks."""

    @property
    def is_busy(self) -> bool:
        """Whether anything is half done, in either direction."""

    @property
    def unsent_bytes(self) -> int:
        """What waits in the socket's buffer."""

    @property
    def is_writable(self) -> bool:
        """Whether the socket takes more; where it does not, nothing is read either."""

    def begin_leaving(self) -> None:
        """Ask the client to go elsewhere."""

    def stop(self) -> None:
        """End all calls and the connection."""

    def reset(self, stream_id: int) -> None:
        """Call off a call, and tell the client so."""

    def abort(self) -> None:
        """Cut the connection."""


class Patience:
    """Knows since when a connection has been doing what it does; times are nanoseconds of the monotonic clock."""

    __slots__ = (
        "_age_ns", "_asked_ns", "_heard", "_heard_ns", "_leaves_ns", "_lingers_ns", "_made_ns",
        "_options", "_rests_until_ns", "_second_ns", "_stuck_bytes", "_stuck_ns",
    )  # fmt: skip

    def __init__(self, options: GrpcOptions, now_ns: int) -> None:
        self._options = options
        self._made_ns = self._heard_ns = self._second_ns = self._stuck_ns = now_ns
        self._heard = False
        self._asked_ns = self._leaves_ns = self._lingers_ns = 0
        """Since when it has owed a sign of life, been asked to leave, been over; 0 for not at all."""
        self._rests_until_ns = 0
        """When something is due on a connection on which nothing goes on; 0 while something does."""
        self._stuck_bytes = 0
        spread = random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - no secret
        self._age_ns = int(options.max_connection_age_s * spread * NS_PER_S)

    def hear(self) -> None:
        """Note that bytes have come; when is seen at the next look."""
        self._heard = True

    @property
    def lingers(self) -> bool:
        """Whether the connection is over, and only its last words are on their way."""
        return self._lingers_ns > 0

    def linger(self, now_ns: int) -> None:
        """Note that the connection is over."""
        self._lingers_ns = now_ns
        self._rests_until_ns = 0

    def stir(self) -> None:
        """Note that something is to be done though no bytes have come."""
        self._rests_until_ns = 0

    def rests(self, now_ns: int) -> bool:
        """Tell whether nothing goes on and nothing is due, at next to no cost: of thousands of connections almost all rest."""
        return now_ns < self._rests_until_ns and not self._heard

    def watch(self, connection: Watched, now_ns: int) -> None:
        """Do what is due."""
        heard, self._rests_until_ns = self._heard, 0
        if self._is_stuck(connection.unsent_bytes, now_ns) or self._is_silent(connection, now_ns):
            connection.abort()
            return
        if self.lingers:
            if connection.unsent_bytes and not connection.http2.is_over:
                self._lingers_ns = now_ns  # what was asked for is still on its way
            elif _passed(self._lingers_ns, now_ns, _LINGER_S):
                connection.abort()
            return
        if now_ns - self._second_ns >= NS_PER_S:
            self._second_ns = now_ns
            self._each_second(connection)
        self._watch_age(connection, now_ns)
        self._watch_leaving(connection, now_ns)
        if not heard and self._second_ns == now_ns and not connection.is_busy and not self._asked_ns:
            self._rests_until_ns = self._due_ns()

    def _due_ns(self) -> int:
        due_ns = self._heard_ns + int(self._options.keepalive_s * NS_PER_S)
        return min(due_ns, self._made_ns + self._age_ns) if self._age_ns else due_ns

    def _each_second(self, connection: Watched) -> None:
        connection.http2.second_passed()
        for stream_id in connection.http2.stalled(self._options.write_timeout_s):
            connection.reset(stream_id)

    def _is_stuck(self, unsent: int, now_ns: int) -> bool:
        """Tell whether the client has for too long taken nothing of the bytes that wait for it."""
        if not unsent or unsent < self._stuck_bytes or not self._stuck_bytes:
            self._stuck_ns = now_ns
        self._stuck_bytes = unsent
        return unsent > 0 and _passed(self._stuck_ns, now_ns, self._options.write_timeout_s)

    def _is_silent(self, connection: Watched, now_ns: int) -> bool:
        """Tell whether the client is late with its first words, or does not answer when asked whether it is there."""
        if self._heard or not connection.is_writable:
            self._heard, self._heard_ns, self._asked_ns = False, now_ns, 0
        if not connection.greeted:
            return _passed(self._made_ns, now_ns, self._options.handshake_timeout_s)
        if self._asked_ns:
            return _passed(self._asked_ns, now_ns, self._options.keepalive_timeout_s)
        if _passed(self._heard_ns, now_ns, self._options.keepalive_s):
            self._asked_ns = now_ns
            connection.http2.ping(_PING)
        return False

    def _watch_age(self, connection: Watched, now_ns: int) -> None:
        age_ns = now_ns - self._made_ns
        if not self._age_ns or age_ns < self._age_ns:
            return
        connection.begin_leaving()
        if age_ns > self._age_ns + self._options.max_connection_age_grace_s * NS_PER_S:
            connection.stop()

    def _watch_leaving(self, connection: Watched, now_ns: int) -> None:
        if not connection.http2.leaving:
            return
        self._leaves_ns = self._leaves_ns or now_ns
        if _passed(self._leaves_ns, now_ns, _LEAVE_S):
            connection.http2.finish_leaving()


def _passed(since_ns: int, now_ns: int, seconds: float) -> bool:
    return now_ns - since_ns > seconds * NS_PER_S


def watch_interval_s(options: GrpcOptions) -> float:
    """Return how often connections are looked at: what is due is done within an eighth of its time, or a second."""
    times = (
        options.handshake_timeout_s,
        options.message_timeout_s,
        options.write_timeout_s,
        options.keepalive_s,
        options.keepalive_timeout_s,
    )
    ages = (options.max_connection_age_s, options.max_connection_age_grace_s) if options.max_connection_age_s else ()
    return min(1.0, max(0.02, min(*times, *ages) / 8))
