"""What went over a connection, read by others than the server: questions by h11, answers by the letter of RFC 9112."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import h11

_SPACES: Final = re.compile(rb"\A([A-Z]+) +([!-~]+) +(HTTP/1\.[01]\r\n)")
"""A line with more blanks than one between its words, which a server may take (RFC 9112, section 3) and h11 does not."""
_BLANKS: Final = re.compile(rb"\n[0-9a-fA-F]+[ \t]+(?:\r\n|;)")
_BARE: Final = re.compile(rb"\n0+(?:;[^\n]*)?\r\n(?:[^\n]*[^\r\n]\r\n)*(?:[^\n]*[^\r\n])?\n")
_STATUS: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [\x20-\x7e]*")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([^\r\n\x00]*)")


class Asked(NamedTuple):
    """What h11 makes of what was sent."""

    methods: list[str]
    """Of each head that is whole."""
    whole: int
    """Requests that are whole, body included."""
    alone: bool
    """Whether nothing follows the last one."""
    broken: bool
    """Whether something came that h11 does not take for HTTP."""
    doubtful: bool
    """Whether blanks follow the size of a chunk, which h11 takes at the line's end and RFC 9112 (section 7.1.1) before an extension, or
    trailers end without CR, which h11 takes."""


class Answer(NamedTuple):
    """One answer, whole."""

    status: int
    fields: dict[bytes, bytes]
    """By lower-case name."""
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether it says that nothing follows it."""
        return self.fields.get(b"connection", b"").lower() == b"close"


def asked(data: bytes, limit: int) -> Asked:
    """Return what the bytes ask for, up to the first request that wants the connection closed, has too long a body or is none."""
    sent, heads, whole, broken = data, list[h11.Request](), 0, False
    try:
        while data := data.lstrip(b"\r\n"):  # blank lines before a request are skipped (RFC 9112, section 2.2)
            line, size = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20), 0
            line.receive_data(_SPACES.sub(rb"\1 \2 \3", data, count=1))
            while isinstance(event := line.next_event(), h11.Request | h11.Data):
                heads += [event] if isinstance(event, h11.Request) else []
                size += len(event.data) if isinstance(event, h11.Data) else 0
            if not isinstance(event, h11.EndOfMessage) or size > limit:
                break
            whole, data = whole + 1, line.trailing_data[0]
            if line.their_state not in (h11.DONE, h11.MIGHT_SWITCH_PROTOCOL):
                break
    except h11.RemoteProtocolError:
        broken = True
    return Asked([head.method.decode() for head in heads], whole, not data, broken, bool(_BLANKS.search(sent) or _BARE.search(sent)))


def answers(data: bytes, methods: list[str]) -> Iterator[Answer]:
    """Yield the answers to requests of these methods; interim ones are left out. Raises `AssertionError` for what is no answer."""
    at, number = 0, 0
    while at < len(data):
        stop = data.find(b"\r\n\r\n", at)
        assert stop >= 0, "an answer's head has no end"
        status, fields = _head(data[at:stop])
        at = stop + 4
        if status < 200:
            continue
        method = methods[number] if number < len(methods) else ""
        body, at = (b"", at) if method == "HEAD" or status in (204, 304) else _body(data, at, fields)
        number += 1
        yield Answer(status, fields, body)


def _head(text: bytes) -> tuple[int, dict[bytes, bytes]]:
    first, *lines = text.split(b"\r\n")
    line = _STATUS.fullmatch(first)
    assert line is not None, first
    fields: dict[bytes, bytes] = {}
    for found in map(_FIELD.fullmatch, lines):
        assert found is not None, lines
        name = found[1].lower()
        assert name not in fields or name == b"set-cookie", f"{name!r} is there twice"
        fields[name] = found[2]
    return int(line[1]), fields


def _body(data: bytes, at: int, fields: dict[bytes, bytes]) -> tuple[bytes, int]:
    if fields.get(b"transfer-encoding") == b"chunked":
        return _chunks(data, at)
    if at == len(data) and fields.get(b"connection") == b"close":
        return b"", at  # to a HEAD that h11 could not read
    stop = at + int(fields[b"content-length"])
    assert stop <= len(data), "an answer's body is shorter than it says"
    return data[at:stop], stop


def _chunks(data: bytes, at: int) -> tuple[bytes, int]:
    parts = []
    while True:
        stop = data.index(b"\r\n", at)
        size, at = int(data[at:stop], 16), stop + 2
        parts.append(data[at : at + size])
        assert data[at + size : at + size + 2] == b"\r\n"
        at += size + 2
        if not size:
            return b"".join(parts), at
