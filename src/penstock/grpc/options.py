"""What a user may say about the gRPC listener."""

import msgspec


class GrpcOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[grpc]`."""

    max_message_bytes: int = 64 * 1024 * 1024
    """The largest message that is received."""

    max_streams: int = 100
    """Concurrent calls of one connection."""

    reflection: bool = True
    """Whether the server describes its services to tools such as grpcurl."""
