"""A listener of a running server, as commands reach it."""

import functools
import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

import click

from penstock.cli.models_registry import leave
from penstock.cli.options import USAGE, with_settings
from penstock.config.load import Loaded
from penstock.config.settings import ServerOptions
from penstock.security.options import TlsOptions

_PATIENCE_S: Final = 60
_HIGHEST_PORT: Final = 65535
_OWN: Final = "--client-certificate"
_PEM: Final = click.Path(exists=True, dir_okay=False, path_type=Path)

Name = Literal["admin", "http"]
_CALLED: Final[Mapping[Name, str]] = {"admin": "admin", "http": "HTTP"}


class Listener(NamedTuple):
    """Where to ask."""

    name: Name
    address: str
    tls: ssl.SSLContext | None = None
    """How the listener is known, where it speaks TLS."""
    shows: bool = False
    """Whether it is shown a certificate of ours."""

    def ask(self, method: str, path: str, body: str | bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return the status and the content of an answer; nobody there ends the command with exit code 1 and one line on stderr."""
        connection = self._connection()
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            leave(f"no {_CALLED[self.name]} listener answers at {self.address}: {error}; {self._advice(error)}", 1)
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self.tls is None:
            return http.client.HTTPConnection(self.address, timeout=_PATIENCE_S)
        return http.client.HTTPSConnection(self.address, timeout=_PATIENCE_S, context=self.tls)

    def _advice(self, error: Exception) -> str:
        """Tell what may be missing: a server that wants a certificate of its client just hangs up where TLS is 1.3."""
        hung_up = isinstance(error, ssl.SSLError | ConnectionResetError | BrokenPipeError)
        if self.tls is None or self.shows or not hung_up or isinstance(error, ssl.SSLCertVerificationError):
            return f"name it with --{self.name}"
        return f"if it asks clients for a certificate (security.tls.client_ca), name one with {_OWN}"


def with_listener(name: Name) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that find a listener of a running server, and as its first arguments the settings and the `Listener`."""

    def given_to(command: Callable[..., None]) -> Callable[..., None]:
        @with_settings
        @functools.wraps(command)
        def run(loaded: Loaded, client_certificate: Path | None, client_key: Path | None, **given: Any) -> None:  # noqa: ANN401 - click's
            settings = loaded.settings
            address = given.pop(name) or _usual(name, settings.server)
            host_and_port, tls = _host_and_port(name, address), _context(name, address, settings.security.tls)
            _show(tls, client_certificate, client_key)
            command(loaded, Listener(name, host_and_port, tls, client_certificate is not None), **given)

        return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_options(name)), run)

    return given_to


def refusal_of(status: int, document: object) -> str:
    """Return why a server refuses, in its words."""
    return str(document.get("error", f"the server answered {status}") if isinstance(document, dict) else document)


def parsed(content: bytes) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of an answer, or its text if it is none."""
    try:
        return json.loads(content or b"{}")
    except ValueError:
        return content.decode(errors="replace")


def _options(name: Name) -> tuple[Callable[..., Any], ...]:
    return (
        click.option(f"--{name}", metavar="ADDRESS", help=f"The {_CALLED[name]} listener of the server. [default: by the settings]"),
        click.option(_OWN, type=_PEM, metavar="FILE", help="A certificate to show to it (PEM), for security.tls.client_ca."),
        click.option("--client-key", type=_PEM, metavar="FILE", help="The private key of that (PEM). [default: in the same file]"),
    )


def _usual(name: Name, server: ServerOptions) -> str:
    return f"{server.admin_host}:{server.admin_port}" if name == "admin" else f"{server.host}:{server.http_port}"


def _context(name: Name, address: str, options: TlsOptions) -> ssl.SSLContext | None:
    """Return what the listener is known by: the machine's authorities, and the certificate of the settings where that file is here."""
    speaks = bool(options.certificate) and name in options.listeners
    if not (address.lower().startswith("https://") or (speaks and "//" not in address)):
        return None
    context = ssl.create_default_context()
    try:
        if speaks and Path(options.certificate).is_file():
            context.load_verify_locations(options.certificate)
    except OSError as error:
        leave(f"security.tls.certificate cannot be read: {options.certificate}: {error}", USAGE)
    return context


def _show(tls: ssl.SSLContext | None, certificate: Path | None, key: Path | None) -> None:
    """Let the listener be shown a certificate, or raise `click.UsageError`."""
    if certificate is None:
        if key is not None:
            raise click.UsageError(f"--client-key is the key of a certificate; name that with {_OWN}")
        return
    if tls is None:
        raise click.UsageError(f"{_OWN} is for a listener that speaks TLS; name it as https://HOST:PORT")
    try:
        tls.load_cert_chain(certificate, key)
    except OSError as error:
        raise click.BadParameter(f"{certificate} cannot be used with {key or 'the key in it'}: {error}", param_hint=_OWN) from error


def _host_and_port(name: Name, address: str) -> str:
    """Return HOST:PORT, or raise `click.BadParameter`: whatever a connection cannot be made from is told here."""
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        asked = http.client.HTTPConnection(parts.netloc)
        asked.host.encode("idna")
    except (ValueError, http.client.InvalidURL):
        raise _no_address(name, address) from None
    plain = parts.scheme in ("", "http", "https") and not (parts.path.strip("/") or parts.query or parts.fragment)
    if not (plain and asked.host and 0 <= asked.port <= _HIGHEST_PORT):
        raise _no_address(name, address)
    return parts.netloc


def _no_address(name: Name, address: str) -> click.BadParameter:
    usual = f"127.0.0.1:{_usual(name, ServerOptions()).rpartition(':')[2]}"
    return click.BadParameter(f"{address!r} is no address; write HOST:PORT, such as {usual}", param_hint=f"--{name}")
