"""What a long ModelInferRequest would take once protobuf has read it, told from its bytes: two of them can ask for ninety."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Final, NamedTuple

import numpy as np

from penstock.domain.errors import InvalidInput, TooLarge
from penstock.wire.varint import MORE, varint

LONG_BYTES: Final = 256 * 1024
"""Messages from this length on are weighed; what a shorter one takes is less than 12 MiB."""
_LEAST_BUDGET: Final = 12 * 1024**2
MOST_FIELDS: Final = 4096
"""Of a message and its tensors, values apart: 64 tensors of each kind and thousands of parameters."""
_INPUT: Final = 5
_OUTPUT: Final = 6
_SHAPE: Final = 3
_SHAPE_BYTES: Final = 32
"""Bytes for each dimension, which is copied to a list too."""
_CONTENTS: Final = 5
_FEW: Final = 16
_LONG: Final = 1024
"""Bytes of a field on average, from which on there are few of them beside what they hold."""
_VARINT, _DELIMITED = 0, 2
_FIXED: Final = {1: 8, 5: 4}
"""Bytes of what has a fixed length; a group's ends have none."""
_FIELD_BYTES: Final = 160
"""What protobuf takes for a message within a message, and for an entry of a map with its value."""
_PACKED: Final = {2: 8, 3: 16, 4: 8, 5: 16}
"""Bytes for each number of `int_contents`, `int64_contents` and their unsigned ones, which grow by doubling."""
_APART: Final = {0x08: 2, 0x10: 8, 0x18: 16, 0x20: 8, 0x28: 16, 0x42: 32}
"""Bytes for each value that stands by itself, by the tag before it: as above, and for a string."""
_LONGEST: Final = 10
"""Bytes of the longest varint."""


class _Field(NamedTuple):
    number: int
    start: int
    stop: int


def check_message(data: bytes, limit: int) -> None:
    """Raise `TooLarge` for a message that might take more than its limit once it is read, or 12 MiB if that is more.

    Raises `InvalidInput` for one with thousands of fields. What is no message at all is left to protobuf.
    """
    most = max(limit, _LEAST_BUDGET)
    if len(data) >= LONG_BYTES and (weight := _weight(data)) > most:
        raise TooLarge(
            f"the message of {len(data)} bytes may take {weight} once it is read, more than {most}: send raw_input_contents, "
            "send less at once, or raise grpc.max_message_bytes, which is that"
        )


def _weight(data: bytes) -> int:
    top = _some(_fields(data, 0, len(data)))
    of_inputs, of_outputs = (
        _some(chain.from_iterable(_fields(data, field.start, field.stop) for field in top if field.number == number))
        for number in (_INPUT, _OUTPUT)
    )
    weight = len(data) + _FIELD_BYTES * (len(top) + len(of_inputs) + len(of_outputs))
    weight += sum(_packed(data, field, _SHAPE_BYTES) for field in of_inputs if field.number == _SHAPE)
    return weight + sum(_contents(data, field) for field in of_inputs if field.number == _CONTENTS)


def _some(fields: Iterator[_Field]) -> list[_Field]:
    found = list(islice(fields, MOST_FIELDS + 1))
    if len(found) > MOST_FIELDS:
        raise InvalidInput(f"the message has more than {MOST_FIELDS} fields; send fewer inputs, outputs and parameters")
    return found


def _contents(data: bytes, contents: _Field) -> int:
    """Return what the values of a tensor take beyond their bytes: those in a few long fields, or in one field for each.

    What may be one field for each is counted by the tags, for which many a letter of a text could be taken.
    """
    few = max(_FEW, (contents.stop - contents.start) // _LONG)
    fields = list(islice(_fields(data, contents.start, contents.stop), few))
    if len(fields) < few:
        return sum(_packed(data, field, _PACKED.get(field.number, 0)) for field in fields)
    values = np.frombuffer(data, np.uint8, contents.stop - contents.start, contents.start)
    return sum(each * int(np.count_nonzero(values == tag)) for tag, each in _APART.items())


def _packed(data: bytes, field: _Field, each: int) -> int:
    """Return what the numbers of a packed field take: each ends with the only byte below 0x80."""
    values = np.frombuffer(data, np.uint8, field.stop - field.start, field.start)
    return each * int(np.count_nonzero(values < MORE)) if each else 0


def _fields(data: bytes, at: int, end: int) -> Iterator[_Field]:
    """Give the fields that stand there, up to the first that is none; those of a group as if there was no group."""
    try:
        while at < end:
            tag, at = varint(data, at, _LONGEST)
            kind, start = tag & 7, at
            if kind == _VARINT:
                _, at = varint(data, at, _LONGEST)
            elif kind == _DELIMITED:
                size, start = varint(data, at, _LONGEST)
                at = start + size
            else:
                at += _FIXED.get(kind, 0)
            if at > end:
                return
            yield _Field(tag >> 3, start, at)
    except IndexError:
        return
