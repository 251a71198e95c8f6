"""Where a route finds the key of a caller: functions that are made once for a route, since each request pays for what they do."""

from collections.abc import Callable
from typing import Final

from penstock.domain.request import InferenceRequest
from penstock.domain.route import Sticky

_LONGEST: Final = 1024

ReadKey = Callable[[InferenceRequest], bytes | None]
"""Returns the key that a request brings, None if it brings none."""


def read_key(sticky: Sticky) -> ReadKey:
    """Return what reads the keys of a route: a header's bytes as they came, or the first element of an input.

    That is a text in UTF-8, an integer in decimal digits. The first 1,024 bytes count.
    """
    return _of_header(sticky.header.lower()) if sticky.header else _of_input(sticky.input)


def _of_header(name: str) -> ReadKey:
    def read(request: InferenceRequest) -> bytes | None:
        value = None if request.headers is None else request.headers.get(name)
        return value[:_LONGEST].encode("latin-1", "replace") if value else None

    return read


def _of_input(name: str) -> ReadKey:
    def read(request: InferenceRequest) -> bytes | None:
        for tensor in request.inputs:
            if tensor.name == name:
                try:
                    first = tensor.array.item(0)
                except IndexError:  # there is none; to ask first would cost every request
                    return None
                if type(first) is int:
                    return b"%d" % first
                return first[:_LONGEST].encode()[:_LONGEST] if type(first) is str else None
        return None

    return read
