"""The admin listener of a running server, as commands ask it."""

import functools
import http.client
import json
import ssl
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import click

from penstock.cli.options import USAGE, with_settings
from penstock.config.load import Loaded
from penstock.security.options import TlsOptions

_PATIENCE_S: Final = 60
_REFUSED_FROM: Final = 400


class Admin(NamedTuple):
    """Where to ask, and with which token."""

    address: str
    token: str
    tls: ssl.SSLContext | None = None
    """How the listener is known, where it speaks TLS."""

    def ask(self, method: str, path: str, body: object = None, *, if_match: int | None = None, unless: Container[int] = ()) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of an answer; a refusal, or nobody there, ends the command with exit code 1 and one line on stderr.

        `if_match` is the revision that a change is to replace, and no other. An answer with one of the statuses of `unless` is None.
        """
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        headers |= {} if if_match is None else {"if-match": f'"{if_match}"'}
        connection = self._connection()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise _failure(f"no admin listener answers at {self.address}: {error}; name it with --admin") from error
        finally:
            connection.close()
        if answer.status in unless:
            return None
        document = _parsed(content)
        if answer.status >= _REFUSED_FROM:
            raise _failure(document.get("error", f"the server answered {answer.status}") if isinstance(document, dict) else str(document))
        return document

    def _connection(self) -> http.client.HTTPConnection:
        if self.tls is None:
            return http.client.HTTPConnection(self.address, timeout=_PATIENCE_S)
        return http.client.HTTPSConnection(self.address, timeout=_PATIENCE_S, context=self.tls)


def with_admin(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that find a running server, and as its first argument the `Admin` of it."""

    @with_settings
    @functools.wraps(command)
    def run(loaded: Loaded, admin: str | None, **given: object) -> None:
        server = loaded.settings.server
        address = admin or f"{server.admin_host}:{server.admin_port}"
        tls = _context(address, loaded.settings.security.tls)
        command(Admin(_host_and_port(address), _token(Path(server.state_dir)), tls), **given)

    return click.option("--admin", metavar="ADDRESS", help="The admin listener of the server. [default: by the settings]")(run)


def _context(address: str, options: TlsOptions) -> ssl.SSLContext | None:
    """Return what the listener is known by: the machine's authorities, and the certificate of the settings where that file is here."""
    speaks = bool(options.certificate) and "admin" in options.listeners
    if not (address.startswith("https://") or (speaks and "//" not in address)):
        return None
    context = ssl.create_default_context()
    if speaks and Path(options.certificate).is_file():
        context.load_verify_locations(options.certificate)
    return context


def _host_and_port(address: str) -> str:
    found = urlsplit(address if "//" in address else f"//{address}").netloc
    if not found:
        raise click.BadParameter(f"{address!r} is no address; write HOST:PORT, such as 127.0.0.1:8082", param_hint="--admin")
    return found


def _token(state_dir: Path) -> str:
    path = state_dir / "admin.token"
    try:
        return path.read_text().strip()
    except OSError as error:
        click.echo(f"the admin token cannot be read: {path}: {error.strerror}; set server.state_dir to the server's", err=True)
        raise click.exceptions.Exit(USAGE) from error


def _parsed(content: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(content or b"{}")
    except ValueError:
        return content.decode(errors="replace")


def _failure(message: str) -> click.exceptions.Exit:
    click.echo(message, err=True)
    return click.exceptions.Exit(1)
