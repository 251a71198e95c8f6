"""What a small unary call costs over the native transport, beside grpcio and the HTTP fast path: `python benchmarks/grpc_native.py`.

Servers of both transports run at once on one core, and take turns under h2load on another: 8 connections of 8 streams, an
input of 64 floats. Then 1,000 connections, and messages of streams: one in flight on each of as many streams, and by grpc.aio's
client on 32 connections, which is slower than the server, so that it is asked for one at a time. At last both behind TLS 1.3, the
handshakes included. Figures are CPU of the whole process per call, medians of the rounds; where other programs use the cores too, only
the ratios mean something.
"""

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Final

from grpc_echo import METHOD
from grpc_infer import Answer, answer_of, ask, echo, message_of_mlp, stream
from h2load_report import Report, report_of
from harness import ROOT, Load, Row, Server, cores, cost, cpu_s, environment, example_row, load_file, pinned, serving_mlp
from run import table
from stream_load import ask_streams

BUDGET_US: Final = 30
STREAM_BUDGET_US: Final = 16
TIMES: Final = 6.0
CONNECTIONS, STREAMS, MANY, CALLS_OF_EACH = 8, 8, 1_000, 20
H2LOAD: Final = shutil.which("h2load") or ""
_PATIENT: Final = "defaults.slo_ms=5000"
"""No call is refused, however slow the machine is just now."""
_CALL: Final = ("-H", "te: trailers", "-H", "content-type: application/grpc")


class Target:
    """A server under h2load."""

    def __init__(self, pid: int, *how: str) -> None:
        """Ask once, for how much an answer holds; raises `RuntimeError` if that is nothing."""
        self.pid = pid
        self.how = how
        self.cpu_us: list[float] = []
        self.per_s: list[float] = []
        self._answer_bytes = 1
        self._answer_bytes = self._asked(1, 1, 1).data_bytes

    def ask(self, calls: int, connections: int = CONNECTIONS, streams: int = STREAMS) -> None:
        """Have it answer so many calls, and keep what they cost; raises `RuntimeError` if one is not answered."""
        before = cpu_s(self.pid)
        report = self._asked(calls, connections, streams)
        self.cpu_us.append((cpu_s(self.pid) - before) / report.calls * 1e6)
        self.per_s.append(report.per_s)

    def _asked(self, calls: int, connections: int, streams: int) -> Report:
        command = [H2LOAD, "-t", "1", "-n", str(calls), "-c", str(connections), "-m", str(streams), *self.how]
        report = report_of(subprocess.run(command, capture_output=True, text=True, check=True).stdout, self._answer_bytes)
        if report.calls != calls:
            raise RuntimeError(f"{report.calls} of {calls} calls were made")
        return report

    @property
    def cost_us(self) -> float:
        """The median CPU of a call."""
        return statistics.median(self.cpu_us)

    def __str__(self) -> str:
        return f"{statistics.median(self.per_s):,.0f}/s, lowest {min(self.cpu_us):.0f} us"


def unary(native: Server, others: dict[str, tuple[int, str]], folder: Path, *, rounds: int, calls: int) -> list[Row]:
    """Take turns between the transports, the bare echo and the HTTP fast path."""
    targets = {
        "native": _grpc_target(native.pid, native.grpc, folder),
        **{name: _grpc_target(*other, folder) for name, other in others.items()},
        "HTTP fast path": _http_target(native, folder),
    }
    for number in range(rounds + 1):
        for name, target in targets.items():
            target.ask(calls if name in ("native", "HTTP fast path") else calls // 4)
            if not number:  # the first round warms up
                target.cpu_us.clear()
                target.per_s.clear()
    ours = targets.pop("native")
    rows = [Row("gRPC unary, native, CPU per call", ours.cost_us, "us", BUDGET_US, str(ours))]
    for name, other in targets.items():
        least = TIMES if name == "grpcio" else None
        what = f"{name} / native, CPU"
        rows.append(Row(what, other.cost_us / ours.cost_us, "x", least, f"{other.cost_us:.0f} us; {other}", at_least=least is not None))
    return rows


def many(native: Server, folder: Path, *, rounds: int, calls: int) -> list[Row]:
    """Compare 1,000 connections of one stream with a few; opening them counts too, for some calls each."""
    few, thousand = (_grpc_target(native.pid, native.grpc, folder) for _ in range(2))
    for _ in range(rounds):
        few.ask(calls)
        thousand.ask(max(calls, MANY * CALLS_OF_EACH), MANY, 1)
    ratio = thousand.cost_us / few.cost_us
    return [
        Row(f"gRPC unary, native, {MANY:,} connections / {CONNECTIONS}, CPU", ratio, "x", None, f"{thousand.cost_us:.0f} us; {thousand}")
    ]


def streams(native: Server, grpcio: Server, *, rounds: int) -> list[Row]:
    """Take turns between the transports, one message in flight on each of 32 streams."""
    servers: dict[str, Server] = {"native": native, "grpcio": grpcio}
    answer_bytes = len(answer_of(native.grpc, message_of_mlp()).in_stream)
    costs: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(rounds):
        for name, server in servers.items():
            generate: Any = partial(_streamed, server.grpc, answer_bytes)
            costs[name].append(cost(server.pid, generate).cpu_us)
    ours, theirs = (statistics.median(costs[name]) for name in servers)
    many = statistics.median(cost(native.pid, partial(_streamed_at_once, native.grpc, answer_bytes)).cpu_us for _ in range(rounds))
    return [
        Row("gRPC stream, native, CPU per message", many, "us", STREAM_BUDGET_US, f"{CONNECTIONS} connections of {STREAMS} streams"),
        Row("gRPC stream, native, one at a time, CPU per message", ours, "us"),
        Row("grpcio / native, CPU per message of a stream", theirs / ours, "x", None, f"{theirs:.0f} us"),
    ]


def secured(core: int, generator_core: int, folder: Path, *, rounds: int, calls: int) -> list[Row]:
    """Take turns between the transports behind TLS, and the native one without it."""
    certificate, key = _pair(folder)
    tls = (f"security.tls.certificate={certificate}", f"security.tls.key={key}", 'security.tls.listeners=["grpc"]')
    with contextlib.ExitStack() as stack:
        plain, native, grpcio = (
            stack.enter_context(serving_mlp(core, f"grpc.transport={name}", _PATIENT, *settings))
            for name, settings in (("native", ()), ("native", tls), ("grpcio", tls))
        )
        stack.enter_context(pinned(generator_core))
        targets = [_grpc_target(plain.pid, plain.grpc, folder)]
        targets += [_grpc_target(server.pid, server.grpc, folder, "https") for server in (native, grpcio)]
        for _ in range(rounds):
            for target in targets:
                target.ask(calls // 4)
    without, ours, theirs = targets
    return [
        Row("gRPC unary, native, behind TLS, CPU per call", ours.cost_us, "us", None, f"without TLS {without.cost_us:.0f} us; {ours}"),
        Row("grpcio / native, both behind TLS, CPU", theirs.cost_us / ours.cost_us, "x", None, f"{theirs.cost_us:.0f} us; {theirs}"),
    ]


def _pair(folder: Path) -> tuple[Path, Path]:
    """Write a certificate that signs itself, and its key."""
    certificates = load_file("certificates", ROOT / "tests" / "integration" / "access" / "certificates.py")
    pair = certificates.Pair("localhost")
    return certificates.put(folder / "server.pem", pair.certificate), certificates.put(folder / "server.key", pair.key())


def _streamed(address: str, answer_bytes: int, seconds: float) -> Load:
    return ask(address, message_of_mlp(), seconds, partial(stream, answer_bytes=answer_bytes))


def _streamed_at_once(address: str, answer_bytes: int, seconds: float) -> Load:
    return ask_streams(address, answer_bytes, seconds, CONNECTIONS, STREAMS)


def _grpc_target(pid: int, address: str, folder: Path, scheme: str = "http") -> Target:
    message, body = message_of_mlp(), folder / "call"
    body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    return Target(pid, *_CALL, "-d", str(body), f"{scheme}://{address}{METHOD}")


def _http_target(server: Server, folder: Path) -> Target:
    """Return the same question as a binary tensor over HTTP/1.1, on as many connections as there are streams."""
    tensor = {"name": "X", "shape": [1, 64], "datatype": "FP32", "parameters": {"binary_data_size": 256}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    body = folder / "request"
    body.write_bytes(head + example_row().tobytes())
    target = Target(
        server.pid,
        "--h1",
        "-H",
        f"inference-header-content-length: {len(head)}",
        "-d",
        str(body),
        f"http://{server.http}/v2/models/mlp/infer",
    )
    target.ask = partial(target.ask, connections=CONNECTIONS * STREAMS, streams=1)  # type: ignore[method-assign]
    return target


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=8_000, help="calls of a round")
    arguments = parser.parse_args()
    if not H2LOAD:
        print("h2load is not installed (Debian: nghttp2-client); nothing is measured")
        return
    print(environment(), flush=True)
    server_core, generator_core = cores()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-bench-")))
        native, grpcio = (
            stack.enter_context(serving_mlp(server_core, f"grpc.transport={name}", _PATIENT)) for name in ("native", "grpcio")
        )
        bare = stack.enter_context(echo(Answer(bytes(90), bytes(90), [("server-timing", "x" * 60)])))
        stack.enter_context(pinned(generator_core))
        others = {"grpcio": (grpcio.pid, grpcio.grpc), "bare grpc.aio echo": bare}
        how = {"rounds": arguments.rounds, "calls": arguments.calls}
        rows = unary(native, others, folder, **how) + many(native, folder, **how)
        rows += streams(native, grpcio, rounds=max(1, arguments.rounds // 2))
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        rows += secured(server_core, generator_core, Path(name), **how)
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
