"""A client that asks and does not read costs the server a bounded amount of memory, however much it asks."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from connection import INFER, Connection, request, split
from serving import Serving, until
from transports import HEADER_LENGTH

ANSWERS: Final = 80
VALUES: Final = 512 * 1024
QUESTION: Final[dict[str, Any]] = {
    "inputs": [{"name": "n", "datatype": "INT64", "shape": [1], "data": [VALUES]}],
    "parameters": {"binary_data_output": True},
}
FILL: Final = request("/v2/models/fill/infer", json.dumps(QUESTION).encode())
"""A hundred bytes that ask for 2 MiB."""
PIPELINED: Final = 8
MOST_MIB: Final = 64
"""What one such client may cost: eight answers, as tensors and as bytes, and some slack. All of them are 160 MiB."""
STILL_S: Final = 1.0


def peak_mib(serving: Serving) -> float:
    """Return the most memory that the server has had."""
    status = Path(f"/proc/{serving.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def wait_until_still(serving: Serving) -> None:
    """Wait until nothing more is answered."""
    seen = (-1, 0.0)

    def still() -> bool:
        nonlocal seen
        ended = sum(serving.counters()[1].values())
        if ended != seen[0]:
            seen = ended, time.monotonic()
        return time.monotonic() - seen[1] > STILL_S

    until(still, within_s=60)


@pytest.fixture
def serving(registry: Path, tmp_path: Path) -> Iterator[Serving]:
    """A server that takes in a few requests of a connection before it answers the first."""
    with Serving(registry, tmp_path).during(
        'models.slow.warmup="off"', 'models.fill.warmup="off"', "models.fill.slo_ms=60000", f"http.max_pipelined={PIPELINED}"
    ) as serving:
        yield serving


@pytest.mark.parametrize("piece", [len(FILL) * ANSWERS, pytest.param(len(FILL), marks=pytest.mark.slow)], ids=["at-once", "one-by-one"])
def test_answers_that_nobody_reads_are_bounded_in_memory(serving: Serving, piece: int) -> None:
    """Far less than all of them is held; when the client reads at last, each is there."""
    with Connection(serving) as line:
        assert line.ask(FILL).status == 200
    before = peak_mib(serving)

    with Connection(serving, receive_bytes=4_096) as line:
        line.send_pieces(split(FILL * ANSWERS, piece))
        wait_until_still(serving)
        grown = peak_mib(serving) - before
        replies = [line.reply() for _ in range(ANSWERS)]

    assert grown < MOST_MIB
    assert {reply.status for reply in replies} == {200}
    assert {len(reply.body) - int(reply.headers[HEADER_LENGTH]) for reply in replies} == {4 * VALUES}


@pytest.mark.parametrize(
    "data", [request(INFER, b"[]"), request("/nope"), request("/openapi.json", method="GET")], ids=["refused", "unrouted", "page"]
)
def test_questions_without_end_are_bounded_in_memory(serving: Serving, data: bytes) -> None:
    """64 MiB of small requests, or as much as the server takes while nobody reads what it says to them."""
    block = data * 1_000

    with Connection(serving, receive_bytes=4_096) as line:
        line.send(data)
        before = peak_mib(serving)
        sender = threading.Thread(target=line.send_until_refused, args=(block * ((64 << 20) // len(block)),), daemon=True)
        sender.start()
        wait_until_still(serving)
        grown = peak_mib(serving) - before
        line.send_no_more()
        sender.join()

    assert grown < MOST_MIB
