"""What an answer tells beside its tensors, in HTTP's headers and in gRPC's trailing metadata."""

import os
import random
from typing import Final

from penstock.domain.clock import NS_PER_US
from penstock.domain.errors import InvalidInput
from penstock.domain.names import check_request_id, shown
from penstock.domain.request import Timeline

MODEL_VERSION: Final = "penstock-model-version"
ARM: Final = "penstock-arm"
AUTHORIZATION: Final = "authorization"
REQUEST_ID: Final = "x-request-id"
SERVER_TIMING: Final = "server-timing"

# A generator of our own: `random.seed`, which test suites call, must not make two predictions share an id.
_random: Final = random.Random()  # noqa: S311 - ids are unique, not secret
_DRAWN: Final = 256
_ids: Final[list[str]] = []
_THOUSANDTHS: Final = [f".{number:03}" for number in range(1000)]
"""To look three digits up takes a fraction of the time that a float takes to be written."""
os.register_at_fork(after_in_child=_random.seed)
os.register_at_fork(after_in_child=_ids.clear)


def new_request_id() -> str:
    """Return an id that no other prediction has: 128 random bits as 32 hexadecimal digits."""
    if not _ids:  # one draw for many costs a third for each
        digits = _random.randbytes(_DRAWN * 16).hex()
        _ids.extend([digits[start : start + 32] for start in range(0, len(digits), 32)])
    return _ids.pop()


def request_id_of(given: str | None) -> str:
    """Return the id that the caller gave, or a new one; raises `InvalidInput` for an id that no answer may repeat."""
    if not given:
        return new_request_id()
    if not given.isascii():
        raise InvalidInput(f"{REQUEST_ID} is {shown(given)}; use printable ASCII, as headers hold nothing else")
    return check_request_id(given, REQUEST_ID)


def any_request_id(given: str | None) -> str:
    """Return the same for a request that is refused: a new id also where the given one is what no answer may repeat."""
    try:
        return request_id_of(given)
    except InvalidInput:
        return new_request_id()


def server_timing(timeline: Timeline) -> str:
    """Return where the time went, in milliseconds, as browsers' tools read it (W3C Server Timing)."""
    digits = _THOUSANDTHS
    queue, compute, total = _us(timeline.queue_ns), _us(timeline.compute_ns), _us(timeline.total_ns)
    return (
        f"queue;dur={queue // 1000}{digits[queue % 1000]}, compute;dur={compute // 1000}{digits[compute % 1000]}, "
        f"total;dur={total // 1000}{digits[total % 1000]}"
    )


def _us(ns: int) -> int:
    return (ns + NS_PER_US // 2) // NS_PER_US
