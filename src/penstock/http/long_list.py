"""Long lists of numbers in JSON, read a piece at a time: Python's objects for all the numbers at once take twenty times their text."""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from operator import mul
from typing import Any, Final

from penstock.domain.errors import InvalidInput
from penstock.domain.schema import MAX_RANK
from penstock.http.json_text import MAX_DEPTH, checked, numbers, read_weighed
from penstock.http.json_weight import commas, room_beside, tree_bytes
from penstock.wire.raw import Buffer

_PIECE: Final = 64 * 1024
_MOST_KEYS: Final = 512
"""How many keys are looked at: a request has a handful for each of its tensors, the long ones among them early."""
_OPENING: Final = re.compile(rb"[ \t\r\n]*\[")
_MARK: Final = secrets.token_hex(16)
"""Stands for a list that was cut out. Nobody else can know it."""
_NO_STRUCTURE: Final = bytes(set(range(256)) - set(b"[],"))


Place = tuple[dict[str, Any], str]
"""A table and one of its keys."""
Places = Callable[[dict[str, Any]], Iterable[Place]]
"""Where a document may hold the values of tensors."""


class LongList:
    """A list of numbers, nested or not, as the part of a text that holds no quote and no brace."""

    __slots__ = ("_start", "_stop", "_text", "room", "size")

    def __init__(self, text: bytes | bytearray, start: int, stop: int, room: int) -> None:
        """Say that the list stands from `start` to `stop`, brackets and all; what it holds is read later."""
        self.room: Final = room
        """Bytes that an array of the values may take before they are known to be good."""
        self._text = text
        self._start = start
        self._stop = stop
        self.size: Final = commas(memoryview(text)[start:stop]) + 1
        """How many numbers there are, unless a list in it is empty."""

    def __repr__(self) -> str:
        return f"a list of {self.size} values"

    def pieces(self) -> Iterator[list[Any]]:
        """Give the values in their order, nested as they are; raises `InvalidInput` for what is no list of JSON.

        A piece ends before a comma. The lists that are open there are closed behind it and opened again before the next one, so that
        each piece is a list of JSON if, and but for empty lists only if, all of it is.
        """
        depth, at = 0, self._start
        while at < self._stop:
            until = self._end_of_piece(at)
            text, opened = self._text[at:until], depth
            if b"[" in text or b"]" in text:  # far quicker to tell than to count
                depth += text.count(b"[") - text.count(b"]")
            if not (0 < depth <= MAX_DEPTH or (depth == 0 and until == self._stop)):
                raise InvalidInput(f"the body is not valid JSON: brackets do not match, or nest deeper than {MAX_DEPTH} levels")
            yield numbers(b"[" * opened + text + b"]" * depth, at)
            at = until + 1

    def _end_of_piece(self, at: int) -> int:
        if self._stop - at <= _PIECE:
            return self._stop
        until = self._text.rfind(b",", at, at + _PIECE)
        if until < 0:
            until = self._text.find(b",", at, self._stop)
        return self._stop if until < 0 else until

    def shape(self) -> tuple[int, ...]:
        """Return the lengths of lists within lists; raises `InvalidInput` unless all on a level have the same."""
        structure, shape = self._structure(), list[int]()
        brackets = structure.count(b"[")
        while len(shape) <= MAX_RANK:  # where each list has another length, each would take a turn
            stop = structure.find(b"]") + 1
            start = structure.rfind(b"[", 0, stop)
            if start < 0:
                break
            innermost = structure[start:stop]
            shape.insert(0, innermost.count(b",") + 1)
            structure = structure.replace(innermost, b"")
        # Lists in place of numbers, and the other way round, make the one or the other too few.
        sizes = list(accumulate(shape, mul, initial=1))
        if structure or sizes.pop() != self.size or sum(sizes) != brackets:
            raise InvalidInput("the values are ragged: expecting lists of the same size on each level, of numbers alone on the last")
        return tuple(shape)

    def _structure(self) -> bytes | bytearray:
        """Return the brackets and commas alone."""
        if self._text.find(b"[", self._start + 1, self._stop) < 0:
            return b"[%b]" % (b"," * (self.size - 1))
        found = bytearray()
        for at in range(self._start, self._stop, _PIECE):
            found += self._text[at : min(at + _PIECE, self._stop)].translate(None, _NO_STRUCTURE)
        return found


def tensor_places(document: dict[str, Any]) -> list[Place]:
    """Return where the Open Inference Protocol has the values of tensors."""
    inputs = document.get("inputs")
    return [(entry, "data") for entry in inputs if isinstance(entry, dict)] if isinstance(inputs, list) else []


def json_of_body(body: Buffer, json_bytes: int) -> bytes | bytearray:
    """Return the JSON in front of a body, without a copy where that is all of it."""
    if json_bytes == len(body) and isinstance(body, bytes | bytearray):
        return body
    return bytes(memoryview(body)[:json_bytes])


def read_long(text: bytes | bytearray, limit: int, places: Places) -> dict[str, Any]:
    """Return the JSON object that a long text holds, with a `LongList` at each of the places that holds many numbers.

    Raises `InvalidInput`, and `TooLarge` for a text that would take far more than itself once it is read.
    """
    room = room_beside(len(text), limit)
    short, lists = _cut(text, room)
    try:
        document = _read(short, room)
    except InvalidInput:
        if not lists or tree_bytes(text) > room:
            raise
        return _read(text, room)  # what was cut may have been a part of a string
    return document if _put_back(lists, places(document)) else _read(text, room)


def _read(text: bytes | bytearray, room: int) -> dict[str, Any]:
    return checked(read_weighed(text, room), text)


def _put_back(lists: dict[str, LongList], places: Iterable[Place]) -> bool:
    """Put the lists where their marks are, and tell whether all of them are at a place whose values are read."""
    left = dict(lists)
    for table, key in places:
        value = table.get(key)
        if isinstance(value, str) and value in left:
            table[key] = left.pop(value)
    return not left


def _cut(text: bytes | bytearray, room: int) -> tuple[bytes | bytearray, dict[str, LongList]]:
    """Return the text with marks in place of long lists, and the lists by their marks."""
    lists, parts, done, at = dict[str, LongList](), list[bytes | bytearray](), 0, 0
    for _ in range(_MOST_KEYS):
        at = text.find(b'":', at) + 2
        if at < 2:  # noqa: PLR2004 - not found
            break
        opening = _OPENING.match(text, at)
        stop = _end(text, opening.end()) if opening else 0
        if opening and stop - at >= _PIECE:
            mark = f"{_MARK}{len(lists)}"
            lists[mark] = LongList(text, opening.end() - 1, stop, room)
            parts += [text[done:at], b'"%b"' % mark.encode()]
            done = at = stop
    return (b"".join([*parts, text[done:]]), lists) if lists else (text, lists)


def _end(text: bytes | bytearray, start: int) -> int:
    """Return where a list of numbers ends, if it is one: at the last bracket before any quote or brace."""
    stop = len(text)
    for letter in (b'"', b"{", b"}"):
        found = text.find(letter, start, stop)
        stop = stop if found < 0 else found
    return text.rfind(b"]", start, stop) + 1
