"""A whole server in this process, without sockets: its models are real and tiny, its limits small enough to be met."""

import asyncio
import atexit
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import uvicorn
from client_end import ClientEnd
from standalone import TESTS, loaded
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from penstock.config.load import load
from penstock.house import House
from penstock.http.fastpath import FastPath
from penstock.http.gate import Gate
from penstock.security.token import AdminToken

MAX_BODY_BYTES: Final = 40_000
_SETTINGS: Final = {
    "http.max_body_bytes": MAX_BODY_BYTES,
    "http.max_request_line_bytes": 512,
    "http.max_header_bytes": 1_024,
    "http.max_head_bytes": 2_048,
    "http.max_headers": 24,
    "http.max_pipelined": 4,
    "http.compress_above_bytes": 64,
    "registry.poll_s": 0,
    "telemetry.access_log": "off",
    "defaults.slo_ms": 60_000,
}
_MOST_TURNS: Final = 20_000
_PATIENT_TURNS: Final = 200


class HttpServer:
    """Asked through protocols that it has no sockets for. Lives on a loop of its own."""

    def __init__(self) -> None:
        logging.disable(logging.CRITICAL)  # what is refused is logged, millions of times
        self.loop: Final = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        home = Path(tempfile.mkdtemp(prefix="penstock-fuzz-"))
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        _write_models(home / "registry")
        places = {
            "registry.uri": str(home / "registry"),
            "server.state_dir": str(home / "state"),
            "registry.cache_dir": str(home / "cache"),
        }
        settings = load(None, {}, _SETTINGS | places).settings
        self.loop.run_until_complete(self._open(settings, home))

    async def _open(self, settings: object, home: Path) -> None:
        self.house: Final = House(settings, (), keeps=False)  # type: ignore[arg-type]
        await self.house.manager.start()
        app, _ = self.house.applications(AdminToken.of(home / "state"))
        self.gate: Final = Gate(settings.http, self.house.admission, self.house.predictor, self.house.access)  # type: ignore[attr-defined]
        self.state: Final = ServerState()
        self._config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False)
        self._config.load()

    def fast(self) -> FastPath:
        """Return a connection of the product."""
        return FastPath(self.gate, self._config, self.state, {}, self.loop)

    def plain(self) -> HttpToolsProtocol:
        """Return a connection of uvicorn's own, so that the application answers predictions too."""
        return HttpToolsProtocol(self._config, self.state, {}, self.loop)

    def ask(self, protocol: HttpToolsProtocol, data: bytes, rng: Random | None, *, hasty: bool = False) -> ClientEnd:
        """Send the bytes, in pieces if there is something to draw them by, and return what came; a hasty client waits for no answer."""
        return self.loop.run_until_complete(self._ask(protocol, data, rng, hasty=hasty))

    async def _ask(self, protocol: HttpToolsProtocol, data: bytes, rng: Random | None, *, hasty: bool) -> ClientEnd:
        end = ClientEnd()
        protocol.connection_made(end)
        try:
            await self._send(protocol, end, data, rng)
            if not hasty:
                await self._until(lambda: end.closed or end.ended or self._quiet(protocol))
        finally:
            end.over = end.closed or end.ended
            protocol.eof_received()
            protocol.connection_lost(None)
            await self._until(lambda: not self.house.ledger.in_flight and not self.state.tasks)
        assert not end.written_late, "more was written behind the end"
        return end

    async def _send(self, protocol: HttpToolsProtocol, end: ClientEnd, data: bytes, rng: Random | None) -> None:
        at = 0
        while at < len(data) and not end.closed:
            size = len(data) if rng is None else rng.choice((1, 2, 7, 40, 400, 4_000))
            protocol.data_received(data[at : at + size])
            at += size
            if end.paused or (rng is not None and rng.random() < 0.3):
                await self._until(lambda: not end.paused or end.closed)

    def _quiet(self, protocol: HttpToolsProtocol) -> bool:
        """Tell whether nothing is under way but what waits for the client."""
        cycle, leftover = protocol.cycle, getattr(protocol, "_pending", ())
        waits = cycle is not None and not cycle.response_complete and not cycle.more_body
        return not self.house.ledger.in_flight and not waits and not any(item.answer_parts for item in leftover)

    async def _until(self, holds: Callable[[], bool]) -> None:
        """Let the loop turn until it holds; a lane on a thread is given time."""
        for turn in range(_MOST_TURNS):
            await asyncio.sleep(0 if turn < _PATIENT_TURNS else 0.0005)
            if holds():
                return
        raise AssertionError(f"the connection hangs: something is never answered; {self.house.ledger.in_flight} predictions are under way")

    def check_books(self) -> None:
        """Fail unless everything that came in has ended, and nothing is held of connections that are gone."""
        ledger = self.house.ledger
        ends = ledger.outcomes
        for (protocol, model), received in ledger.received.items():
            ended = sum(count for (wire, name, _), count in ends.items() if (wire, name) == (protocol, model))
            assert received == ended, (model, received, ended)
        assert not self.gate.connections, "a connection is remembered that has gone"
        assert not self.state.connections
        assert all(not version.leases for version in self.house.catalog.versions())


def _write_models(root: Path) -> None:
    builders = loaded(TESTS / "models" / "build.py")
    for name, element, shape, rows in (
        ("id_fp32", "float", "batch,n", 8), ("id_vec", "float", "n", 0), ("id_str", "string", "batch,n", 8), ("id_fp16", "float16", "batch,n", 8),
        ("id_i8", "int8", "batch,n", 8), ("id_u64", "uint64", "batch,n", 8), ("id_bool", "bool", "batch,n", 8),
    ):  # fmt: skip
        builders.write_configured_model(root, name, builders.identity(name, element, shape), rows)
    builders.write_versioned_addsub(root)
