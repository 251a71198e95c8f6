"""One entry of the audit log, and the line that holds it.

A line is a JSON object whose last member is the SHA-256 of the object without that member. Another member, `previous`, is the hash
of the line before: so no line can be changed, added, left out or moved without every later one showing it.
"""

from hashlib import sha256
from typing import Final, NamedTuple, Self

import msgspec

from penstock.domain.actor import Actor

GENESIS: Final = "0" * 64
"""What stands for the hash before the first line."""
_HASH: Final = b',"hash":"'
_END: Final = b'"}'
_TAIL_BYTES: Final = len(_HASH) + len(GENESIS) + len(_END)
_LONGEST: Final = 4096


class Change(NamedTuple):
    """What somebody did."""

    at: str
    """When, as ISO 8601 in UTC."""
    actor: Actor
    model: str
    """The model that it concerns, "" for none."""
    what: str
    before: str = ""
    after: str = ""
    why: str = ""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A change at its place in the log."""

    seq: int
    """Counts entries from 1, without a gap."""
    at: str
    who: str
    via: str
    """"key", "token" or "server": see `Actor.via`."""
    model: str
    what: str
    before: str
    after: str
    why: str
    previous: str
    """The hash of the line before."""
    hash: str = ""


class Link(NamedTuple):
    """The end of a chain, to which the next line is tied."""

    seq: int = 0
    hash: str = GENESIS

    def line(self, change: Change) -> tuple[bytes, Self]:
        """Return the line that follows with that change, line break included, and the end of the chain after it."""
        texts = {name: _cut(getattr(change, name)) for name in ("at", "model", "what", "before", "after", "why")}
        entry = Entry(seq=self.seq + 1, who=change.actor.name, via=change.actor.via, previous=self.hash, **texts)
        body = msgspec.json.encode(entry).removesuffix(b',"hash":""}')
        digest = sha256(body + b"}").hexdigest()
        return body + _HASH + digest.encode() + _END + b"\n", type(self)(entry.seq, digest)


def entry_of(line: bytes) -> Entry:
    """Return the entry of a line without its line break; raises `ValueError` that says why it is none, or not as it was written."""
    try:
        entry = msgspec.json.decode(line, type=Entry)
    except msgspec.DecodeError as error:
        raise ValueError(f"it is no entry: {error}") from error
    if line[-_TAIL_BYTES:] != _HASH + entry.hash.encode() + _END or sha256(line[:-_TAIL_BYTES] + b"}").hexdigest() != entry.hash:
        raise ValueError("its hash is not the one of what it says: it was changed")
    return entry


def _cut(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
