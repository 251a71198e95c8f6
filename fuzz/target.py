"""What a target is: a door of the server, alone, and the promise that it keeps whatever comes in."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from mutation import mutated

CORPUS: Final = Path(__file__).parent / "corpus"
NAMES: Final = tuple(sorted(path.stem for path in (Path(__file__).parent / "targets").glob("[a-z]*.py")))
"""Every target, by the name of its file."""

Case = Callable[[bytes], bool]
"""Hands bytes to the door; returns whether they were taken. Raises only if a promise is broken."""
Mutate = Callable[[bytes, Random], bytes]


class Target(NamedTuple):
    """A door, and how bytes are made that get past its first checks."""

    name: str
    case: Case
    mutate: Mutate
    """Changes bytes, often in a way that keeps their form."""
    corpus: Sequence[bytes]
    """What was kept, in the order of the files' names."""
    alone: Case
    """The same without judging, to be weighed."""
    limit_bytes: int
    """Of a request: the memory that a refusal for its size takes is at most one and a half times as much; 0 if there is no such limit."""


def load(name: str) -> Target:
    """Return the target of that name."""
    module = importlib.import_module(f"targets.{name}")
    words = getattr(module, "WORDS", ())
    own: Mutate | None = getattr(module, "mutate", None)

    def mutate(data: bytes, rng: Random) -> bytes:
        """Keep the form in most cases, and break it in the others."""
        return own(data, rng) if own is not None and rng.random() < module.FORMED else mutated(data, rng, words)

    return Target(name, module.case, mutate, kept(name), getattr(module, "alone", module.case), getattr(module, "LIMIT_BYTES", 0))


def kept(name: str) -> list[bytes]:
    """Return the corpus of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
