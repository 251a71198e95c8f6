"""The limits in force, as server metadata tells them to operators: over HTTP and gRPC the same."""

from collections.abc import Mapping
from typing import Final

from penstock.config.settings import Settings
from penstock.domain.names import MAX_ID_BYTES
from penstock.execution.descriptors import Part, most_connections
from penstock.grpc.stream import MAX_IN_FLIGHT
from penstock.http.json_text import MAX_DEPTH

_MS_PER_S: Final = 1000


def limits_of(settings: Settings) -> Mapping[str, int]:
    """Return each limit by name; times are in milliseconds, and 0 is no limit."""
    http, server = settings.http, settings.server
    times_s = {
        "head_timeout_ms": http.head_timeout_s,
        "body_timeout_ms": http.body_timeout_s,
        "write_timeout_ms": http.write_timeout_s,
        "keep_alive_ms": http.keep_alive_s,
        "request_timeout_ms": server.request_timeout_s,
        "max_request_timeout_ms": server.max_request_timeout_s,
        "announce_ms": server.announcement_s(),
        "drain_ms": server.drain_s,
    }
    return {
        "max_body_bytes": http.max_body_bytes,
        "max_message_bytes": settings.grpc.max_message_bytes,
        "max_request_line_bytes": http.max_request_line_bytes,
        "max_header_bytes": http.max_header_bytes,
        "max_head_bytes": http.max_head_bytes,
        "max_headers": http.max_headers,
        "max_json_depth": MAX_DEPTH,
        "max_id_bytes": MAX_ID_BYTES,
        "max_connections": most_connections(http.max_connections, Part.PREDICTIONS),
        "max_pipelined": http.max_pipelined,
        "max_streams": settings.grpc.max_streams,
        "max_stream_in_flight": MAX_IN_FLIGHT,
        "min_body_bytes_per_s": http.min_body_bytes_per_s,
        "max_in_flight": settings.security.max_in_flight,
        "max_payload_bytes": settings.payloads.max_bytes,
        **{name: round(seconds * _MS_PER_S) for name, seconds in times_s.items()},
    }
