"""Which predictions shadows follow, and how many of them."""

from collections.abc import Iterator

import pytest

from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.ticket import Ticket
from penstock.inference.predictor import Nobody
from penstock.inference.shadow_queue import HeldBytes, ShadowQueue
from penstock.inference.watch import Watch, followers_of
from penstock.telemetry.tracer import Tracer
from penstock.traffic.marks import MARKS


class Aside:
    """A version, one who follows, and one who sends traces: none of them does anything."""

    identity = ModelVersion("m", "1")
    busy = False

    def release(self) -> None: ...

    def answered(self, request: InferenceRequest, response: InferenceResponse, queues: object) -> None: ...

    def export(self, passages: object, epoch_ns: int) -> Iterator[tuple[int, bool]]:
        yield from ()

    def close(self) -> None: ...


@pytest.mark.parametrize("shadows", [0, 1, 2])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_followers_are_told_at_the_end_whether_or_not_the_prediction_is_traced(shadows: int, ratio: float) -> None:
    """What is recorded only if a shadow disagrees waits for as many; a trace hears of the end first, and stands before the reply then."""
    held, tracer, told = HeldBytes(1 << 20), Tracer(Aside(), ratio), list[int]()

    def ended(ticket: Ticket) -> None:
        tracer.observe(ticket, "OK")
        told.append(followers_of(ticket))

    ticket = Ticket(InferenceRequest("http", "m", "", [], request_id="r", arrived_ns=1), Nobody(), ended, lambda: 2)
    ticket.lease = Aside()
    Watch([(MARKS, ShadowQueue("m", str(number), held)) for number in range(shadows)], Aside())(ticket)
    ticket.answer([], 1)

    assert told == [shadows]
