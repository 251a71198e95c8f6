"""Which arm of a route a request takes: a pure function of the route, the caller's key and a draw.

A canary takes a key if the key's position on that canary's own line lies below the canary's share of what the canaries before it
have left. So when a weight changes, keys move to or from that canary alone, except where two canaries want the same one.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from penstock.domain.request import InferenceRequest
from penstock.domain.route import STABLE, Route, Sticky

_SLOTS: Final = 10_000
"""Weights are counted in hundredths of a percent."""
_LINE_BITS: Final = 32


class Arm(NamedTuple):
    """A branch of a route."""

    name: str
    version: str
    """A number or an alias."""


class Share(NamedTuple):
    """What a canary takes."""

    arm: Arm
    below: int
    """Keys whose position on the canary's line is below; 2**32 would be all that are left."""
    up_to: float
    """Draws below, of those that no canary before has taken."""


class Split:
    """A route that is ready to be asked."""

    def __init__(self, model: str, route: Route) -> None:
        self.model: Final = model
        self.route: Final = route
        self.stable: Final = Arm(STABLE, route.stable)
        self.shares: Final = tuple(_shares(route))
        """By the canaries' names: in which order a route lists them makes no difference."""
        self.arms: Final = {arm.name: arm for arm in (self.stable, *(share.arm for share in self.shares))}


def plan(split: Split, key: bytes | None, draw: float) -> Arm:
    """Return the arm for a caller's key; without one, for a draw from 0 to 1, 1 excluded."""
    if key is None:
        for arm, _, up_to in split.shares:
            if draw < up_to:
                return arm
    else:
        for arm, below, _ in split.shares:
            if position(split.model, arm.name, key) < below:
                return arm
    return split.stable


def position(model: str, arm: str, key: bytes) -> int:
    """Return where a key lies on a canary's line, from 0 to 2**32 - 1, the same on every machine and in every language.

    The first four bytes, big-endian, of the SHA-256 (FIPS 180-4) of model, NUL, arm, NUL, key; names in UTF-8.
    """
    return int.from_bytes(sha256(f"{model}\0{arm}\0".encode() + key).digest()[:4], "big")


def key_of(sticky: Sticky, request: InferenceRequest) -> bytes | None:
    """Return the key that a request brings, None if it brings none.

    A header's bytes as they came; of an input the first element: a text in UTF-8, an integer in decimal digits.
    """
    if sticky.header:
        value = (request.headers or {}).get(sticky.header.lower())
        return value.encode("latin-1", "replace") if value else None
    for tensor in request.inputs:
        if tensor.name == sticky.input and tensor.array.size:
            first = tensor.array.flat[0]
            return first.encode() if isinstance(first, str) else str(int(first)).encode() if tensor.array.dtype.kind in "iu" else None
    return None


def _shares(route: Route) -> Iterator[Share]:
    taken = 0
    for canary in sorted(route.canaries, key=lambda canary: canary.name):
        slots, left = round(canary.weight * 100), _SLOTS - taken
        taken += slots
        yield Share(Arm(canary.name, canary.version), (slots << _LINE_BITS) // left if left else 0, taken / _SLOTS)
