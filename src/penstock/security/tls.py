"""TLS for listeners, by certificates that are followed: a new handshake takes what is in force, no connection is dropped."""

import ssl
from pathlib import Path
from typing import Any, Final, NamedTuple

from penstock.domain.start import StartError
from penstock.security.options import TlsOptions
from penstock.security.private_file import read_private
from penstock.security.reload import Reloader, Watched

_LONGEST_BYTES: Final = 1024 * 1024
_HTTP1, _HTTP2 = "http/1.1", "h2"
"""What connections speak, as ALPN names it."""


class Pem(NamedTuple):
    """Files as they are read."""

    certificate: bytes
    """The server's certificate and those between it and its root."""
    key: bytes
    client_ca: bytes | None
    """Who signs the certificates of clients; None where clients need none."""


class Loaded(NamedTuple):
    """What is in force, for those who speak TLS through Python and for those who bring their own."""

    pem: Pem
    context: ssl.SSLContext
    http2_context: ssl.SSLContext


class FollowingContext(ssl.SSLContext):
    """A context whose handshakes are those of another one, which may be replaced as a whole; takes part in none itself."""

    current: ssl.SSLContext

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:  # noqa: ANN401 - as they come
        """Return a new connection of the context that is in force; asyncio's and uvloop's way to begin a handshake."""
        return self.current.wrap_bio(*arguments, **options)


class Tls:
    """The certificate in force. Handshakes and changes happen on the event loop, grpcio's handshakes on threads of its own."""

    def __init__(self, options: TlsOptions) -> None:
        """Read the files; raises `OSError` (`ssl.SSLError` is one) or `ValueError`."""
        self._options = options
        self.context: Final = FollowingContext(ssl.PROTOCOL_TLS_SERVER)
        """For connections that speak HTTP/1.1."""
        self.http2_context: Final = FollowingContext(ssl.PROTOCOL_TLS_SERVER)
        """For those that speak HTTP/2."""
        self._apply(self._read())

    @property
    def pem(self) -> Pem:
        """The files in force; another object once they have changed."""
        return self._loaded.pem

    def watched(self) -> Watched[Loaded]:
        """Return the files, to be followed."""
        options = self._options
        paths = [Path(path) for path in (options.certificate, options.key, options.client_ca) if path]
        return Watched("TLS certificate", paths, self._read, self._apply)

    def _apply(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.context.current, self.http2_context.current = loaded.context, loaded.http2_context

    def _read(self) -> Loaded:
        pem, context, http2_context = self._pem(), self._context(_HTTP1), self._context(_HTTP2)
        if pem != self._pem():
            raise ValueError("its files changed while they were read")
        return Loaded(pem, context, http2_context)

    def _pem(self) -> Pem:
        options = self._options
        client_ca = Path(options.client_ca).read_bytes() if options.client_ca else None
        return Pem(Path(options.certificate).read_bytes(), read_private(Path(options.key), _LONGEST_BYTES), client_ca)

    def _context(self, protocol: str) -> ssl.SSLContext:
        """Return a context with what RFC 9113, section 9.2, asks of TLS too."""
        options = self._options
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols([protocol])
        context.load_cert_chain(options.certificate, options.key, password=_no_password)
        if options.client_ca:
            context.load_verify_locations(options.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def tls_of(options: TlsOptions, reloader: Reloader) -> dict[str, Tls]:
    """Return the TLS of each listener that has it, kept up to date by the reloader. Raises `StartError`."""
    if not options.certificate:
        return {}
    try:
        tls = Tls(options)
    except (OSError, ValueError) as error:
        raise StartError(f"TLS with {options.certificate} and {options.key} cannot be used: {error}") from error
    reloader.watched.append(tls.watched())
    return dict.fromkeys(options.listeners, tls)


def _no_password() -> str:
    """Stand in for the question on a terminal that nobody sees."""
    raise ValueError("the private key is encrypted; give one that is not, readable by the server alone")
