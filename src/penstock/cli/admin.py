"""The admin listener of a running server, as commands ask it."""

import functools
import json
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, Final, NamedTuple

from penstock.cli.listener import Listener, parsed, refusal_of, with_listener
from penstock.cli.models_registry import leave
from penstock.cli.options import USAGE
from penstock.config.load import Loaded

_REFUSED_FROM: Final = 400


class Admin(NamedTuple):
    """Where to ask, and with which token."""

    listener: Listener
    token: str

    def ask(self, method: str, path: str, body: object = None, *, if_match: int | None = None, unless: Container[int] = ()) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of an answer; a refusal, or nobody there, ends the command with exit code 1 and one line on stderr.

        `if_match` is the revision that a change is to replace, and no other. An answer with one of the statuses of `unless` is None.
        """
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        headers |= {} if if_match is None else {"if-match": f'"{if_match}"'}
        status, content = self.listener.ask(method, path, None if body is None else json.dumps(body), headers)
        if status in unless:
            return None
        document = parsed(content)
        if status >= _REFUSED_FROM:
            leave(refusal_of(status, document), 1)
        return document


def with_admin(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that find a running server, and as its first argument the `Admin` of it."""

    @with_listener("admin")
    @functools.wraps(command)
    def run(loaded: Loaded, listener: Listener, **given: object) -> None:
        state_dir = Path(loaded.settings.server.state_dir)
        try:
            token = token_in(state_dir)
        except OSError as error:
            leave(f"the admin token cannot be read: {error.filename}: {error.strerror}; set server.state_dir to the server's", USAGE)
        command(Admin(listener, token), **given)

    return run


def token_in(state_dir: Path) -> str:
    """Return the admin token, or the key in its place; raises `OSError` where there is none."""
    path = state_dir / "admin.token"
    token = path.read_text(errors="replace").strip()
    if not (token.isascii() and token.isprintable()):
        leave(f"{path} holds characters that no token has; write one token or key into it", USAGE)
    return token
