"""What a user may say about the HTTP listeners."""

import msgspec


class HttpOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[http]`."""

    max_body_bytes: int = 64 * 1024 * 1024
    """The largest request body, as sent and after decompression."""

    compress_above_bytes: int = 1024
    """Answers of a prediction above this size are compressed for a client that asks for it."""

    allowed_hosts: list[str] = []
    """Names that the Host header may carry on the prediction listener; empty allows every name."""

    keep_alive_s: float = 75
    """Seconds that an idle connection stays open."""

    head_timeout_s: float = 10
    """Seconds that a request's line and headers may take to arrive."""

    body_timeout_s: float = 30
    """Seconds that a body may take to arrive, and one more for each `min_body_bytes_per_s` of it that are here."""

    min_body_bytes_per_s: int = 16 * 1024
    """The slowest rate at which a long body may arrive."""

    write_timeout_s: float = 30
    """Seconds after which a client that reads nothing of its answer is cut off."""

    max_request_line_bytes: int = 8 * 1024
    """The longest request line."""

    max_header_bytes: int = 16 * 1024
    """The longest single header."""

    max_head_bytes: int = 32 * 1024
    """All headers of a request together."""

    max_headers: int = 100
    """The most headers of a request."""

    max_connections: int = 16_384
    """The most connections of a listener; at most half of the file descriptors that the process may open (admin: a 16th)."""

    max_pipelined: int = 16
    """Requests of one connection that are taken in before the first of them is answered."""
