"""The far end of a connection: who it is, and whether it speaks HTTP/2."""

import asyncio
import ssl


def peer_of(transport: asyncio.BaseTransport) -> str:
    """Return whom a connection comes from, in gRPC's words."""
    address = transport.get_extra_info("peername") or ("", 0)
    host, port = address[:2]
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"


def speaks_http2(transport: asyncio.BaseTransport) -> bool:
    """Tell whether the client wants HTTP/2; without TLS its first bytes tell (RFC 9113, sections 3.2 and 3.3)."""
    tls = transport.get_extra_info("ssl_object")
    return not isinstance(tls, ssl.SSLObject) or tls.selected_alpn_protocol() == "h2"
