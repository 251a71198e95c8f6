"""The last step of a file: rows that are deleted by then go, and it gets its name."""

import contextlib
from pathlib import Path

from penstock.payloads.form import Form
from penstock.payloads.rewriting import Ready, replace
from penstock.payloads.tombstones import Tombstones, finishing, state_of


def finish(form: Form, hidden: Path, path: Path, listed: Path) -> int:
    """Have a hidden file, which is synced, appear under its name, without rows whose deletion is listed in `listed`; returns how many.

    Without any other row there is no file. Making it ready may take seconds, and nobody who deletes has to wait for that: only where a
    deletion came meanwhile is it done again, with the list locked. Raises `OSError`; the hidden file is there then.
    """
    state = state_of(listed)
    ready = _ready(form, hidden, path, listed)
    with finishing(listed) as tombstones:
        if ready is None or state_of(listed) != state:
            ready = form.ready(hidden, path, tombstones)
        replace(path, ready)
        hidden.unlink(missing_ok=True)
    return ready.gone


def _ready(form: Form, hidden: Path, path: Path, listed: Path) -> Ready | None:
    """Return what is ready, None if a deletion has removed the draft meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return form.ready(hidden, path, Tombstones.of(listed))
    return None
