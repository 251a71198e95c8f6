"""What a user may say about the gRPC listener."""

from typing import Literal

import msgspec


class GrpcOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[grpc]`."""

    transport: Literal["native", "grpcio"] = "native"
    """What carries the calls: our HTTP/2, or grpcio's own server, at many times the CPU time of a call."""

    max_message_bytes: int = 64 * 1024 * 1024
    """The largest message that is received."""

    max_streams: int = 100
    """Concurrent calls of one connection."""

    reflection: bool = True
    """Whether the server describes its services to tools such as grpcurl."""

    max_metadata_bytes: int = 16 * 1024
    """All metadata of a call together, and 32 bytes for each; native transport."""

    max_connections: int = 16_384
    """The most connections, at most a quarter of the file descriptors that the process may open; native transport."""

    handshake_timeout_s: float = 10
    """Seconds that a client may take to begin: TLS, and the first bytes of HTTP/2; native transport."""

    message_timeout_s: float = 30
    """Seconds that a message may take to arrive, and one more for each `min_message_bytes_per_s` of it that are here; native transport."""

    min_message_bytes_per_s: int = 16 * 1024
    """The slowest rate at which a long message may arrive; native transport."""

    write_timeout_s: float = 60
    """Seconds after which a client that takes nothing of what waits for it is cut off; native transport."""

    keepalive_s: float = 300
    """Seconds of silence after which a client is asked whether it is still there; native transport."""

    keepalive_timeout_s: float = 20
    """Seconds that it may take to answer; native transport."""

    max_connection_age_s: float = 0
    """Seconds after which a client is asked to connect anew, which spreads clients over servers; 0 for never; native transport."""

    max_connection_age_grace_s: float = 30
    """Seconds that the calls of such a connection have left; native transport."""
