"""F33, F43: descriptors and connections that run out."""

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from connection import HOST, Connection, head, length
from serving import GOOD, Serving, until

Figure = Callable[..., float]
DESCRIPTORS = 256
WATCHED_S = 0.5
BODY = json.dumps(GOOD).encode()
ASKED = head("POST /v2/models/id_fp32/infer HTTP/1.1", HOST, length(BODY)) + BODY
REFUSED_HTTP = 'penstock_connections_refused_total{listener="http"}'


def ticks(pid: int) -> int:
    """Return the CPU time of a process, in ticks of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def open_files(pid: int) -> int:
    """Return how many descriptors a process has in use."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def assert_idle(serving: Serving) -> None:
    """Assert that a server of which nothing is asked uses less than half of a core: no loop runs over what it cannot do."""
    before, since = ticks(serving.pid), time.monotonic()
    time.sleep(WATCHED_S)
    used_s = (ticks(serving.pid) - before) / os.sysconf("SC_CLK_TCK")
    assert used_s < (time.monotonic() - since) / 2


def opened(stack: ExitStack, serving: Serving, listener: str, count: int) -> list[socket.socket]:
    """Open connections that say nothing."""
    host, _, port = serving.addresses[listener].rpartition(":")
    return [stack.enter_context(socket.create_connection((host, int(port)), timeout=20)) for _ in range(count)]


@pytest.fixture
def limited(registry: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Serving]:
    """A server that may open 256 files."""
    serving = Serving(registry, tmp_path)
    penstock = Path(sys.executable).with_name("penstock")
    serving.command = ["/bin/sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$0" "$@"', penstock]
    with serving.during(f'grpc.transport="{request.param}"'):
        yield serving


@pytest.mark.parametrize("limited", ["native"], indirect=True)
def test_listeners_refuse_what_descriptors_do_not_suffice_for(limited: Serving, figure: Figure) -> None:
    """F33: each has its part, so that flooding all three leaves predictions, health and management served; what is refused is counted.

    But for those that the library closes itself, since more came in one turn of the loop than there were descriptors.
    """
    limited.assert_serving()
    assert figure(limited, REFUSED_HTTP) == 0
    with ExitStack() as stack:
        for listener in ("http", "grpc", "admin"):
            opened(stack, limited, listener, DESCRIPTORS)
        until(lambda: open_files(limited.pid) < DESCRIPTORS)

        limited.assert_serving()
        assert figure(limited, REFUSED_HTTP) > 0
        assert figure(limited, 'penstock_connections_refused_total{listener="grpc"}') > 0
        assert figure(limited, 'penstock_connections_refused_total{listener="admin"}') > 0
        assert_idle(limited)
    until(lambda: figure(limited, 'penstock_connections{listener="http"}') <= 2)
    limited.assert_serving()


@pytest.mark.slow
@pytest.mark.parametrize("limited", ["grpcio"], indirect=True)
def test_grpcio_that_takes_all_descriptors_costs_new_connections_alone(limited: Serving) -> None:
    """F33: grpcio has no limit of its own; who is connected is served, nobody loops, and all is well once they have left."""
    limited.assert_serving()
    with ExitStack() as stack:
        opened(stack, limited, "grpc", DESCRIPTORS)
        until(lambda: "File descriptor limit reached" in limited.log)

        limited.assert_serving()  # over the connections that it has
        assert_idle(limited)
    until(lambda: open_files(limited.pid) < DESCRIPTORS // 2)
    limited.assert_serving()


@pytest.mark.parametrize("count", [600, pytest.param(8_000, marks=pytest.mark.slow)])
def test_connections_at_once_beyond_the_limit_leave_those_inside_alone(serving: Serving, figure: Figure, count: int) -> None:
    """F43: more than are let in at once; those beyond are told 503 and closed, those inside are asked meanwhile."""
    serving.start(f"http.max_connections={count // 4}")
    serving.assert_serving()
    with ExitStack() as stack:
        inside = stack.enter_context(Connection(serving))
        assert inside.ask(ASKED).status == 200
        lines = opened(stack, serving, "http", count)
        assert [inside.ask(ASKED).status for _ in range(20)] == [200] * 20
        until(lambda: figure(serving, REFUSED_HTTP) >= count - count // 4)
        told = [line.recv(64) for line in lines[-10:]]

        assert all(text.startswith(b"HTTP/1.1 503") for text in told)
        assert inside.ask(ASKED).status == 200
        assert serving.grpc.infer("id_fp32", GOOD).family == "OK"
    until(lambda: figure(serving, 'penstock_connections{listener="http"}') <= 2)
    serving.assert_serving()
    serving.assert_balanced()
    serving.stop()
