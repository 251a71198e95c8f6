"""What answers tell beside their tensors: ids and timings, the same over HTTP and gRPC."""

import random
import re
import subprocess
import sys
from typing import Final

import pytest

from penstock.domain.errors import InvalidInput
from penstock.domain.request import Timeline
from penstock.wire.call import new_request_id, request_id_of, server_timing


def test_new_ids_differ_even_when_the_global_generator_is_seeded() -> None:
    """A test suite that seeds `random` before each test does not make predictions share an id."""
    ids = set()
    for _ in range(100):
        random.seed(7)
        ids.add(new_request_id())

    assert len(ids) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


FORKS: Final = """
import os
from penstock.wire.call import new_request_id
child = os.fork()
os.write(1, f"{new_request_id()}\\n".encode())
if child:
    os.waitpid(child, 0)
"""


def test_forked_process_makes_ids_of_its_own() -> None:
    """Parent and child go on with different ids, though the child began as a copy."""
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60, check=True)

    one, other = done.stdout.split()
    assert one != other


def test_given_id_is_kept() -> None:
    """The caller's id is the id."""
    assert request_id_of("order-7/a b") == "order-7/a b"


@pytest.mark.parametrize("given", [None, ""], ids=["absent", "empty"])
def test_missing_id_is_made(given: str | None) -> None:
    """Without an id, each call gets a new one."""
    assert request_id_of(given) != request_id_of(given)


@pytest.mark.parametrize("given", ["a\r\nset-cookie: x", "\x1b[31m", "a" * 129, "é"], ids=["crlf", "esc", "long", "é"])
def test_id_that_no_header_may_carry_is_refused(given: str) -> None:
    """What would break an answer's head, or a log line, is the caller's mistake."""
    with pytest.raises(InvalidInput, match="x-request-id"):
        request_id_of(given)


def test_timing_is_in_milliseconds() -> None:
    """Queue, compute (stacking, running, splitting) and total, with three decimals."""
    timeline = Timeline(queue_ns=1_234_567, input_ns=500, infer_ns=2_000_000, output_ns=500, total_ns=4_000_000)

    assert server_timing(timeline) == "queue;dur=1.235, compute;dur=2.001, total;dur=4.000"
