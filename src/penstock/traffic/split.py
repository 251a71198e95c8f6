"""Which arm of a route a request takes: a pure function of the route, the caller's key and a draw.

A canary takes a key if the key's `position` on that canary's own line lies below the canary's share of what the canaries before it
have left. So when a weight changes, keys move to or from that canary alone, except where two canaries want the same one.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any, Final, NamedTuple

from penstock.domain.route import STABLE, Route
from penstock.traffic.sticky_key import read_key

_SLOTS: Final = 10_000
"""Weights are counted in hundredths of a percent."""
_LINE_BITS: Final = 32
_BEYOND: Final = b"\xff" * 33
"""Above every digest."""


def _own_sha256() -> Callable[[bytes], Any]:
    """Return the interpreter's own SHA-256: for the few bytes of a key OpenSSL's, which `hashlib` prefers, takes half as long again."""
    for module in ("_sha2", "_sha256"):  # since Python 3.12, and before; some builds have neither
        with suppress(ImportError):
            own: Callable[[bytes], Any] = import_module(module).sha256
            return own
    return hashlib.sha256


_sha256: Final = _own_sha256()


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
        self.slices: Final = tuple(_slices(model, route))
        """By the canaries' names: in which order a route lists them makes no difference."""
        self.arms: Final = {arm.name: arm for arm in (self.stable, *(slice_.arm for slice_ in self.slices))}
        self.key: Final = None if route.sticky is None else read_key(route.sticky)
        """What reads a caller's key; None where each request is a draw."""


def plan(split: Split, key: bytes | None, draw: float) -> Arm:
    """Return the arm for a caller's key; without one, for a draw from 0 to 1, 1 excluded."""
    if key is None:
        for slice_ in split.slices:
            if draw < slice_.up_to:
                return slice_.arm
    else:
        for arm, line, edge, _ in split.slices:
            # What `position` compares as numbers: digests below four bytes are those whose first four are.
            if _sha256(line + key).digest() < edge:
                return arm
    return split.stable


def line_of(model: str, canary: str) -> bytes:
    """Return what the keys on a canary's line begin with: model, NUL, canary, NUL, in UTF-8."""
    return f"{model}\0{canary}\0".encode()


def position(line: bytes, key: bytes) -> int:
    """Return where a key lies on a canary's line, from 0 to 2**32 - 1, the same on every machine and in every language.

    The first four bytes, big-endian, of the SHA-256 (FIPS 180-4) of line and key.
    """
    return int.from_bytes(_sha256(line + key).digest()[:4], "big")


def _slices(model: str, route: Route) -> Iterator[Slice]:
    taken = 0
    for canary in sorted(route.canaries, key=lambda canary: canary.name):
        slots, left = round(canary.weight * 100), _SLOTS - taken
        taken += slots
        below = (slots << _LINE_BITS) // left if left else 0
        edge = below.to_bytes(4, "big") if below < 1 << _LINE_BITS else _BEYOND
        yield Slice(Arm(canary.name, canary.version), line_of(model, canary.name), edge, taken / _SLOTS)
