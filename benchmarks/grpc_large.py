"""Large tensors, and one client alone, over both transports of gRPC: `python benchmarks/grpc_large.py`, about half a minute.

A model that answers with its input gets 16 MiB and gives them back; GB/s are of both ways, by the CPU of the server. Then one blocking
client of grpcio asks for 64 floats, one call at a time. Rounds of the two transports take turns.
"""

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import grpc
import numpy as np
from grpc_infer import METHOD
from harness import ROOT, Row, Server, cores, cpu_s, environment, load_file, pinned, serving
from run import table

from penstock.wire import inference as pb

MIB: Final = 16
ROUNDS: Final = 5
_LARGE_CALLS, _SMALL_CALLS = 4, 200
_TRANSPORTS: Final = ("native", "grpcio")
_UNLIMITED: Final = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
Ask = Callable[[bytes], bytes]


def _write_vector(registry: Path) -> Path:
    models = load_file("build", ROOT / "tests" / "models" / "build.py")
    models.write_configured_model(registry, "vector", models.identity("vector", "float", "n"), 0)
    return registry / "vector" / "1" / "model.onnx"


def question(floats: int) -> bytes:
    """Return a request of so many floats."""
    tensor = pb.ModelInferRequest.InferInputTensor(name="X", datatype="FP32", shape=[floats])
    data = np.arange(floats, dtype=np.float32).tobytes()
    return bytes(pb.ModelInferRequest(model_name="vector", inputs=[tensor], raw_input_contents=[data]).SerializeToString())


def rate(server: Server, ask: Ask, message: bytes) -> float:
    """Return how many GB go in and out for each second of the server's CPU."""
    before = cpu_s(server.pid)
    size = sum(len(message) + len(ask(message)) for _ in range(_LARGE_CALLS))
    return size / 1e9 / (cpu_s(server.pid) - before)


def waits_us(ask: Ask, message: bytes) -> list[float]:
    """Return the times of some calls."""
    times = []
    for _ in range(_SMALL_CALLS):
        began = time.perf_counter()
        ask(message)
        times.append((time.perf_counter() - began) * 1e6)
    return times


def measure(rounds: int) -> list[Row]:
    """Take turns."""
    server_core, generator_core = cores()
    rates: dict[str, list[float]] = {name: [] for name in _TRANSPORTS}
    waits: dict[str, list[float]] = {name: [] for name in _TRANSPORTS}
    large, small = question(MIB << 18), question(64)
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(serving(server_core, _write_vector, f"grpc.transport={name}")) for name in _TRANSPORTS}
        stack.enter_context(pinned(generator_core))
        channels = {name: stack.enter_context(grpc.insecure_channel(server.grpc, _UNLIMITED)) for name, server in servers.items()}
        for _ in range(rounds + 1):
            for name, channel in channels.items():
                ask: Ask = channel.unary_unary(METHOD)
                rates[name].append(rate(servers[name], ask, large))
                waits[name] += waits_us(ask, small)
    native, grpcio = (statistics.median(rates[name][1:]) for name in _TRANSPORTS)
    (our_p10, *_), (their_p10, *_) = deciles = [statistics.quantiles(waits[name][_SMALL_CALLS:], n=10) for name in _TRANSPORTS]
    ours, theirs = (decile[4] for decile in deciles)
    return [
        Row(f"{MIB} MiB there and back, native, GB per s of CPU", native, "GB/s", None, f"grpcio {grpcio:.2f} GB/s"),
        Row("the same, native / grpcio", native / grpcio, "x", 0.8, at_least=True),
        Row("one client, p50, native / grpcio", ours / theirs, "x", 1.0, f"{ours:.0f} and {theirs:.0f} us"),
        Row("the same, the fastest tenth", our_p10 / their_p10, "x", 1.0, f"up to {our_p10:.0f} and {their_p10:.0f} us"),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    print(environment(), flush=True)
    print(f"\n{table(measure(parser.parse_args().rounds))}")


if __name__ == "__main__":
    main()
