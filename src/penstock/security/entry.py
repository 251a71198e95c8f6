"""Who may come into a server, as its settings say; follows the files of keys while it serves."""

from collections.abc import Iterable
from pathlib import Path

from penstock.domain.start import StartError, missing_extra
from penstock.domain.tenant import Allowance
from penstock.security.access import Access, Replaced, Tokens
from penstock.security.keys import Key, KeysFile
from penstock.security.options import JwtOptions, SecurityOptions
from penstock.security.reload import Reloader, Watched


def access_of(options: SecurityOptions, reloader: Reloader) -> Access | None:
    """Return who is let in, kept up to date by the reloader; None where nobody needs a key. Raises `StartError`."""
    if not options.keyed:
        return None
    tokens = _tokens_of(options.jwt)
    access = Access(tokens=tokens, allowance=Allowance(rate=options.rate, max_in_flight=options.max_in_flight))
    if options.keys_file:
        reloader.watched.append(_keys_of(Path(options.keys_file), access))
    if tokens is not None:
        reloader.watched.append(tokens.watched(access))
    reloader.each_time.append(access.expire)
    return access


def _keys_of(path: Path, access: Access) -> Watched[KeysFile]:
    watched = Watched("file of keys", [path], lambda: KeysFile.read(path), lambda file: _told(access.replace(file.keys)))
    try:
        access.replace(KeysFile.read(path).keys)
    except OSError as error:
        raise StartError(f"security.keys_file {path} cannot be read: {error.strerror}; make it with `penstock keys create`") from error
    except ValueError as error:
        raise StartError(f"security.keys_file {path} cannot be used: {error}") from error
    return watched


def _tokens_of(options: JwtOptions) -> Tokens | None:
    if not options.jwks_file:
        return None
    try:
        from penstock.security.tokens import JwtTokens  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise missing_extra("security.jwt.jwks_file", "jwt") from error
    try:
        return JwtTokens(options)
    except OSError as error:
        raise StartError(f"security.jwt.jwks_file {options.jwks_file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StartError(f"security.jwt.jwks_file {options.jwks_file} cannot be used: {error}") from error


def _told(replaced: Replaced) -> tuple[str, str]:
    """Return in words which keys went and which came: nothing in them helps anybody to guess a key."""
    return _listed(replaced.gone), _listed(replaced.new)


def _listed(keys: Iterable[Key]) -> str:
    return "; ".join(f"{key.name} {key.id}: {', '.join(key.scopes)} of {', '.join(key.models or ['all models'])}" for key in keys)
