"""Who may come into a server, as its settings say; follows the files of keys while it serves."""

from pathlib import Path
from typing import Final

from penstock.domain.start import StartError
from penstock.security.access import Access
from penstock.security.keys import KeysFile
from penstock.security.options import SecurityOptions
from penstock.security.reload import Reloader, Watched


def access_of(options: SecurityOptions, reloader: Reloader) -> Access | None:
    """Return who is let in, kept up to date by the reloader; None where nobody needs a key. Raises `StartError`."""
    if not options.keyed:
        return None
    access: Final = Access()
    _follow_keys(Path(options.keys_file), access, reloader)
    reloader.each_time.append(access.expire)
    return access


def _follow_keys(path: Path, access: Access, reloader: Reloader) -> None:
    watched = Watched("file of keys", [path], lambda: KeysFile.read(path), lambda file: access.replace(file.keys))
    try:
        access.replace(KeysFile.read(path).keys)
    except OSError as error:
        raise StartError(f"security.keys_file {path} cannot be read: {error.strerror}; make it with `penstock keys create`") from error
    except ValueError as error:
        raise StartError(f"security.keys_file {path} cannot be used: {error}") from error
    reloader.watched.append(watched)
