"""What connections cost that nobody uses at the moment: `python benchmarks/idle_connections.py [--count 10000]`, about a minute.

Each of them has asked for one prediction, over the native transport of gRPC or over HTTP, and then keeps silent. The figure is
how much the server's resident memory grows; what the kernel holds for the sockets is not in it. Opening them again, after all
have left, tells whether what they took is given back to later ones. All 10,000 need 40,160 descriptors, of which gRPC takes a quarter.
"""

import argparse
import contextlib
import resource
import socket
import time
from collections.abc import Callable, Iterator
from typing import Final

from grpc_infer import message_of_mlp
from harness import Row, Server, cores, environment, pinned, rss_mib, serving_mlp
from hpack import Encoder
from http_infer import json_question
from run import table

from penstock.execution.descriptors import Part, most_connections

BUDGET_MIB: Final = 200.0 * 1e6 / (1 << 20)
"""200 MB, for 10,000 of them."""
COUNT: Final = 10_000
_GREETING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]) + bytes([0, 0, 0, 4, 1, 0, 0, 0, 0])
_AT_ONCE: Final = 20
_SETTLE_S: Final = 1.5


def grpc_words(server: Server) -> bytes:
    """Return the first bytes of a client that asks by gRPC: greeting, fields that fill the table of HPACK, message."""
    message = message_of_mlp()
    fields = [
        (":method", "POST"), (":scheme", "http"), (":path", "/inference.GRPCInferenceService/ModelInfer"), (":authority", server.grpc),
        ("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", "grpc-python/1.85.1 grpc-c/53.0.0 (linux; chttp2)"),
        ("grpc-accept-encoding", "identity, deflate, gzip"), ("x-request-id", "2b1c9c1e6f0a4d0c9c1e6f0a4d0c9c1e"),
    ]  # fmt: skip
    block, body = Encoder().encode(fields), b"\0" + len(message).to_bytes(4, "big") + message
    return _GREETING + _frame(1, 4, block) + _frame(0, 1, body)


def _frame(kind: int, flags: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + (1).to_bytes(4, "big") + payload


def http_words(server: Server) -> bytes:
    """Return a prediction over HTTP."""
    question = json_question(server)
    head = f"POST {question.path} HTTP/1.1\r\nhost: {server.http}\r\ncontent-length: {len(question.body)}\r\n"
    return head.encode() + b"content-type: application/json\r\n\r\n" + question.body


@contextlib.contextmanager
def idle(address: str, words: bytes, ends: bytes, count: int) -> Iterator[None]:
    """Hold so many connections, each of which has got its answer; raises `RuntimeError` if one has not."""
    host, _, port = address.rpartition(":")
    with contextlib.ExitStack() as stack:
        for start in range(0, count, _AT_ONCE):
            some = [stack.enter_context(socket.create_connection((host, int(port)), 20)) for _ in range(min(_AT_ONCE, count - start))]
            for one in some:
                one.sendall(words)
            for one in some:
                _hear(one, ends)
        yield


def _hear(one: socket.socket, ends: bytes) -> None:
    heard = b""
    while ends not in heard:
        try:
            data = one.recv(65_536)
        except TimeoutError:
            data = b""
        if not data:
            raise RuntimeError(f"no answer; heard {heard!r}")
        heard += data


def grown(server: Server, address: str, words: bytes, ends: bytes, count: int) -> list[float]:
    """Return by how many MiB the server's memory grows, when they are opened first and when they are opened again."""
    with idle(address, words, ends, _AT_ONCE):
        time.sleep(_SETTLE_S)
    before, seen = rss_mib(server.pid), []
    for _ in range(2):
        with idle(address, words, ends, count):
            time.sleep(_SETTLE_S)
            seen.append(rss_mib(server.pid) - before)
        time.sleep(_SETTLE_S)
    return seen


def measure(count: int) -> list[Row]:
    """Ask a server of its own over each protocol."""
    server_core, generator_core = cores()
    ways: dict[str, tuple[Callable[[Server], str], Callable[[Server], bytes], bytes]] = {
        "gRPC native": (lambda server: server.grpc, grpc_words, b"grpc-status\x010"),
        "HTTP": (lambda server: server.http, http_words, b'"outputs"'),
    }
    rows = []
    for what, (address, words, ends) in ways.items():
        with serving_mlp(server_core, "grpc.transport=native", "defaults.slo_ms=60000") as server, pinned(generator_core):
            first, again = grown(server, address(server), words(server), ends, count)
        budget = BUDGET_MIB * count / COUNT if "native" in what else None
        beside = f"{first * 1024 / count:.1f} KiB each; opened again {again:.0f} MiB"
        rows.append(Row(f"{what}, {count:,} idle connections, memory", first, "MiB", budget, beside))
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=COUNT)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(parser.parse_args().count, most_connections(hard, Part.GRPC) - 2 * _AT_ONCE)
    print(f"{environment()}; {hard:,} descriptors for a process", flush=True)
    print(f"\n{table(measure(count))}")


if __name__ == "__main__":
    main()
