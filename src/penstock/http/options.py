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

    keep_alive_s: int = 75
    """Seconds that an idle connection stays open."""
