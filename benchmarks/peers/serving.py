"""A server of the comparison, ours or a peer's, in processes of its own, and known to answer right."""

import contextlib
import http.client
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
import numpy as np
from grpc_echo import METHOD
from harness import CONNECTIONS, ROOT, load_file
from http_load import Question
from peers import tree
from peers.catalogue import GRPC, HTTP_BINARY, V2_WIRES, Peer, Wire
from peers.models import Model

READY_S: Final = 120.0
SERVERS: Final = Path(__file__).with_name("servers")
_LAST_WORDS: Final = 2_000
_LOOK_S: Final = 0.1


class Served(NamedTuple):
    """A running server: the root of its processes, its addresses, and the wires on which it takes the model."""

    pid: int
    http: str
    grpc: str
    model: Model
    wires: Mapping[str, Wire]

    def question(self, kind: str) -> Question:
        """Return the request over HTTP; for gRPC the body is the message."""
        wire = self.wires[kind]
        headers, body = wire.format.write(self.model)
        return Question(self.grpc if kind == GRPC else self.http, wire.path.format(model=self.model.name), dict(headers), body)

    def answer(self, kind: str) -> bytes:
        """Ask once; raises `OSError` without an answer, `RuntimeError` if it is an error, `grpc.RpcError` for either."""
        question = self.question(kind)
        return _call(question) if kind == GRPC else _post(question)

    def check(self, kind: str, expected: np.ndarray[Any, Any]) -> int:
        """Return the size of the answer; raises `RuntimeError` unless it is what the bare model answers."""
        answer = self.answer(kind)
        got = self.wires[kind].format.read(answer)
        if got.shape != expected.shape or not np.allclose(got, expected, atol=1e-4):
            raise RuntimeError(f"a wrong answer: {got[:4]}, not {expected[:4]}")
        return len(answer)


@contextlib.contextmanager
def serving_ours(model: Model, file: Path) -> Iterator[Served]:
    """Run Penstock on the cores of this thread, with every setting at its default but one thread to a run."""
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    with processes.own_directory() as own, processes.running(file.parents[2], own, "defaults.threads=1") as running:
        yield Served(running.process.pid, running.http, running.grpc, model, _wires(V2_WIRES, model))


@contextlib.contextmanager
def serving_peer(peer: Peer, programs: Path, model: Model, file: Path) -> Iterator[Served]:
    """Run a peer on the cores of this thread until it answers; raises `RuntimeError` with its last words if it does not."""
    with tempfile.TemporaryDirectory(prefix="penstock-peer-", ignore_cleanup_errors=True) as name:
        http_port, grpc_port, metrics_port = _free_ports(3)
        places = {"http": http_port, "grpc": grpc_port, "metrics": metrics_port, "model": model.name, "servers": SERVERS, "home": name}
        command = [str(programs / peer.command[0]), *(part.format(**places) for part in peer.command[1:])]
        environment = _environment(programs, model, file, (http_port, grpc_port), peer.wait_ms)
        environment |= {key: value.format(**places) for key, value in peer.environment.items()}
        log = Path(name, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=name, env=environment)
        try:
            served = Served(process.pid, f"127.0.0.1:{http_port}", f"127.0.0.1:{grpc_port}", model, _wires(peer.wires, model))
            _wait_for(served, process, log)
            yield served
        finally:
            tree.end(process.pid)
            process.wait()


def _wires(wires: Mapping[str, Wire], model: Model) -> dict[str, Wire]:
    return {kind: wire for kind, wire in wires.items() if kind != HTTP_BINARY or model.as_bytes}


def _environment(programs: Path, model: Model, file: Path, ports: tuple[int, int], wait_ms: int) -> dict[str, str]:
    """Return what servers/model.py reads, and little else of this process's environment."""
    kept = {key: os.environ[key] for key in ("HOME", "LANG", "TMPDIR") if key in os.environ}
    return kept | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(SERVERS),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PEER_HTTP_PORT": str(ports[0]),
        "PEER_GRPC_PORT": str(ports[1]),
        "PEER_MODEL": str(file),
        "PEER_NAME": model.name,
        "PEER_BINARY": str(int(model.as_bytes)),
        "PEER_MAX_ROWS": str(CONNECTIONS),
        "PEER_WAIT_MS": str(wait_ms),
    }


def _wait_for(served: Served, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return once the first of its wires has answered."""
    deadline = time.monotonic() + READY_S
    first = next(iter(served.wires))
    while True:
        try:
            served.answer(first)
        except (OSError, http.client.HTTPException, RuntimeError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"it did not start: {error}\n{log.read_text(errors='replace')[-_LAST_WORDS:]}") from error
            time.sleep(_LOOK_S)
        else:
            return


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _post(question: Question) -> bytes:
    connection = http.client.HTTPConnection(question.address, timeout=30)
    with contextlib.closing(connection):
        connection.request("POST", question.path, question.body, question.headers)
        answer = connection.getresponse()
        body = answer.read()
    if answer.status != http.HTTPStatus.OK:
        raise RuntimeError(f"{answer.status}: {body[:500]!r}")
    return body


def _call(question: Question) -> bytes:
    with grpc.insecure_channel(question.address) as channel:
        answer: bytes = channel.unary_unary(METHOD)(question.body, timeout=30, wait_for_ready=True)
    return answer
