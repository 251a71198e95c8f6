"""What a connection of the fast path books and keeps, where clients ask for more at once than they wait for."""

import asyncio
import gc
import re
import weakref
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from uvicorn.config import Config
from uvicorn.server import ServerState

from penstock.domain.clock import NS_PER_S
from penstock.domain.errors import Bar, Overloaded, Unauthenticated
from penstock.domain.model import ModelVersion
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Tensor, TensorSpec
from penstock.domain.ticket import Ticket
from penstock.http.fastpath import FastPath
from penstock.http.gate import Gate
from penstock.http.options import HttpOptions
from penstock.inference.admission import Admission
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Predictor
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.version import ServedVersion

FP32 = DATATYPES["FP32"]
BODY = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}'


class Socket(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.out: list[bytes] = []
        self.has_ended = False

    def write(self, data: Any) -> None:
        """Keep it."""
        self.out.append(bytes(data))

    def write_eof(self) -> None:
        """Note it."""
        self.has_ended = True

    def can_write_eof(self) -> bool:
        """Say so."""
        return True

    def is_closing(self) -> bool:
        """Never."""
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Have addresses."""
        return ("127.0.0.1", 1) if name in {"peername", "sockname"} else default

    def get_write_buffer_size(self) -> int:
        """Have sent everything."""
        return 0

    def close(self) -> None:
        """Do nothing: a test ends connections."""

    def pause_reading(self) -> None:
        """Do nothing."""

    def resume_reading(self) -> None:
        """Do nothing."""


class Desk:
    """A connection to a model whose batcher keeps tickets until a test answers them."""

    def __init__(self) -> None:
        catalog, self.waiting = Catalog(), list[Ticket]()
        version = ServedVersion(ModelVersion("m", "1"))
        version.schema = ModelSchema((TensorSpec("x", FP32, (-1, 2)),), (TensorSpec("y", FP32, (-1, 1)),), batched=True)
        batcher: Any = self
        version.batcher, version.ready = batcher, True
        catalog.served("m").versions[1] = version
        self.ledger, admission = Ledger(catalog.models), Admission(30, 300)
        self.gate = Gate(HttpOptions(), admission, Predictor(self.ledger, admission, catalog))
        config = Config(_nothing, http="httptools", ws="none", lifespan="off", log_config=None)
        config.load()
        self.socket = Socket()
        self.connection = FastPath(self.gate, config, ServerState(), {})
        self.connection.connection_made(self.socket)

    def arrive(self, ticket: Ticket) -> None:
        """Keep a ticket."""
        self.waiting.append(ticket)

    def answer(self, number: int) -> None:
        """Answer one of them."""
        self.waiting[number].answer([Tensor("y", FP32, np.zeros((1, 1), np.float32))], 1)

    @property
    def booked(self) -> tuple[int, dict[str, int]]:
        """How many predictions came, and how they ended."""
        ends = dict[str, int]()
        for (*_, outcome), count in self.ledger.outcomes.items():
            ends[str(outcome)] = ends.get(str(outcome), 0) + count
        return sum(self.ledger.received.values()), ends

    @property
    def statuses(self) -> list[int]:
        """Of the answers that were written."""
        return list(map(int, re.findall(rb"HTTP/1\.1 (\d+) ", b"".join(self.socket.out))))


async def _nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    """Be an application that nobody asks."""


@pytest_asyncio.fixture
async def desk() -> Desk:
    """Return a connection."""
    return Desk()


def asking(*more: bytes, path: bytes = b"/v2/models/m/infer") -> bytes:
    """Return a prediction."""
    head = [b"POST %b HTTP/1.1" % path, b"Host: a", *more, b"Content-Length: %d" % len(BODY)]
    return b"\r\n".join([*head, b"", BODY])


ENDLESS = b"POST /v2/models/%b/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.asyncio
async def test_nothing_behind_the_last_request_is_run(desk: Desk) -> None:
    """RFC 9112, section 9.6: who says close has sent its last request, whatever follows, and whenever."""
    desk.connection.data_received(asking(b"Connection: close") + asking())
    desk.connection.data_received(asking())
    desk.answer(0)
    desk.connection.data_received(asking())

    assert desk.booked == (1, {"answered": 1})
    assert desk.statuses == [200]
    assert desk.socket.has_ended


@pytest.mark.asyncio
async def test_answer_that_waits_for_its_turn_is_booked_once(desk: Desk) -> None:
    """Though its client leaves before it can be written."""
    desk.connection.data_received(asking() * 2)
    desk.answer(1)
    desk.connection.connection_lost(None)

    assert desk.booked == (2, {"answered": 1, "cancelled": 1})


@pytest.mark.asyncio
@pytest.mark.parametrize("rest", [b"5000000\r\n", b"no chunk\r\n"])
async def test_refusal_that_waits_for_its_turn_stands(desk: Desk, rest: bytes) -> None:
    """Whatever is wrong with the body behind it, which nobody wants: it is booked once, and the connection ends with it."""
    desk.connection.data_received(asking() + ENDLESS % b"nope" + rest + asking())
    desk.answer(0)

    assert desk.booked == (2, {"answered": 1, "client_error": 1})
    assert desk.statuses == [200, 404]
    assert desk.socket.has_ended


@pytest.mark.asyncio
async def test_size_that_a_chunk_announces_buys_no_time(desk: Desk) -> None:
    """Only what is here does."""
    desk.connection.data_received(ENDLESS % b"m" + b"4000000\r\nx")
    for second in (1, 30, 33):
        desk.connection.watch(second * NS_PER_S)

    assert desk.statuses == [408]


@pytest.mark.asyncio
async def test_refused_prediction_is_forgotten_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tensors above all: where memory is short, predictions are refused."""
    kept = list[Any]()

    def refuse(ticket: Ticket) -> None:
        kept.append(weakref.ref(ticket.request.inputs[0].array))
        raise Overloaded("full")

    monkeypatch.setattr(desk, "arrive", refuse)
    gc.disable()
    try:
        desk.connection.data_received(asking())
        gone = kept[0]() is None
    finally:
        gc.enable()

    assert desk.statuses == [429]
    assert gone


@pytest.mark.asyncio
@pytest.mark.parametrize(("given", "is_good"), [(b"mine", True), (b"m" * 1000, False)])
async def test_refused_caller_gets_its_id_back(desk: Desk, given: bytes, is_good: bool) -> None:
    """Unless no answer may repeat it."""

    class Closed:
        def predicting(self, *_: Any) -> None:
            raise Unauthenticated("no key", Bar.NO_KEY)

    access: Any = Closed()
    desk.gate.access = access
    desk.connection.data_received(asking(b"X-Request-Id: " + given))
    (told,) = [line.partition(b": ")[2] for line in desk.socket.out[0].split(b"\r\n") if line.startswith(b"x-request-id")]

    assert desk.statuses == [401]
    assert told
    assert (told == given) is is_good
