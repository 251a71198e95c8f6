"""What keys cost each prediction over HTTP: `python benchmarks/access.py`, some ten seconds.

A connection of the fast path in this process, without a socket: the way of a request from the bytes of its head to the bytes of its
answer, without the queue and the run, which would hide a microsecond. A server without keys, and one with a thousand of them, take
turns; the figure is CPU time.
"""

import asyncio
import json
import tempfile
from pathlib import Path
from statistics import median
from time import thread_time_ns
from typing import Any, Final

import uvicorn
import uvloop
from harness import ROOT, load_file
from uvicorn.server import ServerState

from penstock.config.settings import ServerOptions, Settings
from penstock.domain.tensor import Tensor
from penstock.domain.ticket import Ticket
from penstock.house import House
from penstock.http.fastpath import FastPath
from penstock.http.gate import Gate
from penstock.registry.options import RegistryOptions
from penstock.security.keys import Key, KeysFile, digest_of
from penstock.security.options import SecurityOptions
from penstock.security.token import KeyedManagement

_BODY: Final = json.dumps({"inputs": [{"name": "X", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}]}).encode()
_SECRET: Final = "psk_0123456789abcdefghijklmnopqrstuvwxyz0123456"
_HEAD: Final = f"POST /v2/models/id_fp32/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(_BODY)}\r\n"
_AT_ONCE: Final = 8
_TURNS: Final = 400
_ROUNDS: Final = 31


class _Transport(asyncio.Transport):
    """Takes what is written, and counts it."""

    answers = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not bytes(data[:12]).startswith(b"HTTP/1.1 200"):
            raise SystemExit(bytes(data).decode())
        self.answers += 1

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 1) if name in {"peername", "sockname"} else default

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def resume_reading(self) -> None:
        """Nothing is read."""

    pause_reading = close = resume_reading


class _Echo:
    """A batcher that answers at once with the input."""

    def arrive(self, ticket: Ticket) -> None:
        (tensor,) = ticket.request.inputs
        ticket.answer([Tensor("Y", tensor.datatype, tensor.array)], 1)


class _Server:
    """A house of one model and one connection to it."""

    def __init__(self, home: Path, security: SecurityOptions, header: str) -> None:
        registry = RegistryOptions(uri=str(home / "models"))
        settings = Settings(registry=registry, server=ServerOptions(state_dir=str(home)), security=security)
        self.house = House(settings, (), keeps=False)
        self._request = (f"{_HEAD}{header}\r\n").encode() + _BODY
        self._transport = _Transport()

    async def start(self) -> None:
        await self.house.manager.start()
        house = self.house
        house.catalog.models["id_fp32"].versions[1].batcher = _Echo()  # type: ignore[assignment]
        gate = Gate(house.settings.http, house.admission, house.predictor, house.access)
        config = uvicorn.Config(house.applications(KeyedManagement())[0], log_config=None, ws="none", lifespan="off")
        config.load()
        self._connection = FastPath(gate, config, ServerState(), {})
        self._connection.connection_made(self._transport)

    def round(self) -> float:
        """Return the CPU microseconds of a request."""
        began, data, wanted = thread_time_ns(), self._request * _AT_ONCE, self._transport.answers
        for _ in range(_TURNS):
            self._connection.data_received(data)
            wanted += _AT_ONCE
        if self._transport.answers != wanted:
            raise SystemExit("a prediction was not answered")
        return (thread_time_ns() - began) / 1000 / _TURNS / _AT_ONCE


async def _compare(home: Path) -> None:
    keys = [Key(name=f"k{number}", sha256=digest_of(str(number)), scopes=["predict"]) for number in range(1000)]
    keys.append(Key(name="shop", sha256=digest_of(_SECRET), scopes=["predict"], models=["id_fp32"], **LIMITS))
    models = load_file("build", ROOT / "tests" / "models" / "build.py")
    models.write_configured_model(home / "models", "id_fp32", models.identity("id_fp32", "float", "batch,n"), 64)
    (home / "keys.json").touch(0o600)
    (home / "keys.json").write_bytes(KeysFile(keys).written())
    bare = _Server(home, SecurityOptions(), f"x-nothing-in: {'x' * len(_SECRET)}\r\n")
    keyed = _Server(home, SecurityOptions(keys_file=str(home / "keys.json")), f"authorization: Bearer {_SECRET}\r\n")
    for server in (bare, keyed):
        await server.start()
        server.round()
    rounds = [(bare.round(), keyed.round()) for _ in range(_ROUNDS)]
    without, having = (min(figures) for figures in zip(*rounds, strict=True))
    more = median([b - a for a, b in rounds])
    print(f"without keys {without:.2f} us, with keys {having:.2f} us: {having - without:+.2f} us (median of the rounds {more:+.2f} us)")


LIMITS: Final[dict[str, Any]] = {"rate": 1e9, "max_in_flight": 1000}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        uvloop.run(_compare(Path(directory)))
