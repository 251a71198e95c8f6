"""Which arm of a route a request takes: a pure function of the route, the caller's key and a draw.

A canary takes a key if the key's `position` on that canary's own line lies below the canary's share of what the canaries before it
have left. So when a weight changes, keys move to or from that canary alone, except where two canaries want the same one.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from penstock.domain.request import InferenceRequest
from penstock.domain.route import STABLE, Route
from penstock.domain.tensor import Array

_SLOTS: Final = 10_000
"""Weights are counted in hundredths of a percent."""
_LINE_BITS: Final = 32
_LONGEST_KEY: Final = 1024
_BEYOND: Final = b"\xff" * 33
"""Above every digest."""


class Arm(NamedTuple):
    """A branch of a route."""

    name: str
    version: str
    """A number or an alias."""


class Slice(NamedTuple):
    """What a canary takes."""

    arm: Arm
    line: bytes
    """What all keys on the canary's line begin with."""
    edge: bytes
    """Keys whose digest on the canary's line is below, byte by byte."""
    up_to: float
    """Draws below, of those that no canary before has taken."""


class Split:
    """A route that is ready to be asked."""

    def __init__(self, model: str, route: Route) -> None:
        self.route: Final = route
        self.stable: Final = Arm(STABLE, route.stable)
        self.shares: Final = tuple(_shares(model, route))
        """By the canaries' names: in which order a route lists them makes no difference."""
        self.arms: Final = {arm.name: arm for arm in (self.stable, *(share.arm for share in self.shares))}
        self.is_sticky: Final = route.sticky is not None
        self._header: Final = "" if route.sticky is None else route.sticky.header.lower()
        self._input: Final = "" if route.sticky is None else route.sticky.input

    def key(self, request: InferenceRequest) -> bytes | None:
        """Return the key that a request brings, None if it brings none or the route asks for none.

        A header's bytes as they came; of an input the first element: a text in UTF-8, an integer in decimal digits. The first 1,024
        bytes count.
        """
        if self._header:
            value = None if request.headers is None else request.headers.get(self._header)
            return value[:_LONGEST_KEY].encode("latin-1", "replace") if value else None
        for tensor in request.inputs:
            if tensor.name == self._input:
                return _key_in(tensor.array) if tensor.array.size else None
        return None


def plan(split: Split, key: bytes | None, draw: float) -> Arm:
    """Return the arm for a caller's key; without one, for a draw from 0 to 1, 1 excluded."""
    if key is None:
        for share in split.shares:
            if draw < share.up_to:
                return share.arm
    else:
        for share in split.shares:
            # What `position` compares as numbers: digests below four bytes are those whose first four are.
            if sha256(share.line + key).digest() < share.edge:
                return share.arm
    return split.stable


def _key_in(array: Array) -> bytes | None:
    first = array.item(0)
    if type(first) is int:
        return b"%d" % first
    return first[:_LONGEST_KEY].encode()[:_LONGEST_KEY] if type(first) is str else None


def line_of(model: str, canary: str) -> bytes:
    """Return what the keys on a canary's line begin with: model, NUL, canary, NUL, in UTF-8."""
    return f"{model}\0{canary}\0".encode()


def position(line: bytes, key: bytes) -> int:
    """Return where a key lies on a canary's line, from 0 to 2**32 - 1, the same on every machine and in every language.

    The first four bytes, big-endian, of the SHA-256 (FIPS 180-4) of line and key.
    """
    return int.from_bytes(sha256(line + key).digest()[:4], "big")


def _shares(model: str, route: Route) -> Iterator[Slice]:
    taken = 0
    for canary in sorted(route.canaries, key=lambda canary: canary.name):
        slots, left = round(canary.weight * 100), _SLOTS - taken
        taken += slots
        below = (slots << _LINE_BITS) // left if left else 0
        edge = below.to_bytes(4, "big") if below < 1 << _LINE_BITS else _BEYOND
        yield Slice(Arm(canary.name, canary.version), line_of(model, canary.name), edge, taken / _SLOTS)
