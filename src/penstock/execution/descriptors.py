"""How many files and connections the process may have open, and who gets how many of them."""

import resource
from enum import Enum


class Part(Enum):
    """What a listener may take of the descriptors at most, so that the others, models and logs still get theirs."""

    PREDICTIONS = 2
    GRPC = 4
    ADMIN = 16


def raise_limit() -> None:
    """Let the process open as many files as whoever started it allows; call it once, at the start.

    Shells and service managers set the soft limit low for programs that use `select`, which is none here.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def most_connections(wanted: int, part: Part) -> int:
    """Return how many connections a listener takes: what is wanted, or its part of the descriptors if that is less."""
    return min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // part.value)
