"""Ids of traces and spans."""

import os
import random
from typing import Final

# A generator of our own: `random.seed`, which test suites call, must not make two traces share an id.
_random: Final = random.Random()  # noqa: S311 - ids are unique, not secret
os.register_at_fork(after_in_child=_random.seed)


def new_trace_id() -> int:
    """Return the id of a trace: 128 random bits, never all 0."""
    return _random.getrandbits(128) or 1


def new_span_id() -> int:
    """Return the id of a span: 64 random bits, never all 0."""
    return _random.getrandbits(64) or 1
