"""Asks a server for what most callers ask of it, so that the compiler learns which way its code goes: `build.py --train` calls it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from penstock.wire import inference  # noqa: E402 - where nothing is installed yet, the sources are

REGISTRY: Final = ROOT / "examples" / "registry"
_MODEL: Final = "iris"
_CALLERS, _TIMES = 16, 400
_REFUSED_TIMES: Final = 40
"""Who is overloaded refuses a lot, but most servers are not."""
_START_S: Final = 120
"""Code that counts what it does is slow."""
_STOP_S: Final = 60
_SERVICE: Final = "/inference.GRPCInferenceService/"


def train(build: Path) -> None:
    """Serve an example by the package that lies in `build`, ask it, and end it, whereupon it writes down what it has counted."""
    with tempfile.TemporaryDirectory(prefix="penstock-train-") as home:
        ready = Path(home, "ready.json")
        ports = [part for name in ("http", "grpc", "admin") for part in (f"--{name}-port", "0")]
        command = [sys.executable, "-m", "penstock", "serve", "--registry", str(REGISTRY), "--model", _MODEL, *ports]
        command += ["--ready-file", str(ready), "--set", f"server.state_dir={home}/state", "--set", "grpc.transport=native"]
        environment = {**os.environ, "PYTHONPATH": str(build)}  # noqa: TID251 - the server's own is this one's
        server = subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            addresses = _addresses(server, ready)
            with urllib.request.urlopen(f"http://{addresses['http']}/v2/models/{_MODEL}") as answer:
                asyncio.run(_ask(addresses, json.loads(answer.read())["inputs"][0]))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(_STOP_S)


def _addresses(server: "subprocess.Popen[bytes]", ready: Path) -> dict[str, str]:
    until = time.monotonic() + _START_S
    while not ready.exists():
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError("the server that was to be asked did not start")
        time.sleep(0.1)
    addresses: dict[str, str] = json.loads(ready.read_bytes())["addresses"]
    return addresses


async def _ask(addresses: dict[str, str], spec: dict[str, Any]) -> None:
    row = np.full([max(1, dim) for dim in spec["shape"]], 0.5, np.float32)
    for request in (_json(spec, row), _binary(spec, row)):
        await asyncio.gather(*[_over_http(addresses["http"], request, _TIMES) for _ in range(_CALLERS)])
    refused = _json(spec, np.hstack([row, row]))
    await asyncio.gather(*[_over_http(addresses["http"], refused, _REFUSED_TIMES, b"400") for _ in range(_CALLERS)])
    message = inference.ModelInferRequest(model_name=_MODEL, raw_input_contents=[row.tobytes()])
    message.inputs.add(name=spec["name"], datatype=spec["datatype"], shape=row.shape)
    await _over_grpc(addresses["grpc"], message.SerializeToString())


def _json(spec: dict[str, Any], row: "np.ndarray[Any, Any]") -> bytes:
    tensor = {"name": spec["name"], "datatype": spec["datatype"], "shape": row.shape, "data": row.ravel().tolist()}
    return _posted(json.dumps({"inputs": [tensor]}).encode())


def _binary(spec: dict[str, Any], row: "np.ndarray[Any, Any]") -> bytes:
    tensor = {"name": spec["name"], "datatype": spec["datatype"], "shape": row.shape, "parameters": {"binary_data_size": row.nbytes}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return _posted(head + row.tobytes(), f"Inference-Header-Content-Length: {len(head)}\r\n")


def _posted(body: bytes, headers: str = "") -> bytes:
    return f"POST /v2/models/{_MODEL}/infer HTTP/1.1\r\nHost: here\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _over_http(address: str, request: bytes, times: int, status: bytes = b"200") -> None:
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    for _ in range(times):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 " + status):
            raise RuntimeError(f"the server that was asked said {head.decode()}")
        await reader.readexactly(int(head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]))
    writer.close()


async def _over_grpc(address: str, message: bytes) -> None:
    async def messages() -> AsyncIterator[bytes]:
        for _ in range(_CALLERS * _TIMES):
            yield message

    async def one_by_one() -> None:
        for _ in range(_TIMES):
            await channel.unary_unary(f"{_SERVICE}ModelInfer")(message)

    async with grpc.aio.insecure_channel(address) as channel:
        await asyncio.gather(*[one_by_one() for _ in range(_CALLERS)])
        async for _ in channel.stream_stream(f"{_SERVICE}ModelStreamInfer")(messages()):
            pass


if __name__ == "__main__":
    train(Path(sys.argv[1]).resolve())
