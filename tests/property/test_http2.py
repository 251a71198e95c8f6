"""HTTP/2 against peers that say anything, and against hyper-h2, which says only what is allowed."""

import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import h2.config
import h2.connection
import h2.events
import h2.settings
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

sys.path.insert(0, str(Path(__file__).parents[2] / "fuzz"))  # `make fuzz` has the same peer

from dialogue import FIELDS, LIMITS, Dialogue

from penstock.http2 import frames
from penstock.http2.connection import ServerConnection
from penstock.http2.events import Over, Received, Reset
from penstock.http2.fields import STATUS_OK, field
from penstock.http2.settings import Limits


@given(st.integers(0, 1 << 64), st.integers(1, 40))
@settings(max_examples=300, deadline=None)
def test_anything_is_borne(seed: int, steps: int) -> None:
    """No exception, no limit passed, nothing said that HTTP/2 forbids."""
    Dialogue(random.Random(seed)).run(steps)


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_anything_is_borne_a_million_times() -> None:
    """The long count."""
    for seed in range(1_000_000):
        Dialogue(random.Random(f"million-{seed}")).run(8)


def test_dialogues_reach_what_they_should_test() -> None:
    """Enough of them get past the first frames, and enough end in a fault: else the tests above would test nothing."""
    ends: Counter[str] = Counter()
    for seed in range(500):
        dialogue = Dialogue(random.Random(seed))
        dialogue.run(8)
        ends["over"] += dialogue.is_over
        ends["opened"] += dialogue.last_opened > 0
        ends["several"] += dialogue.last_opened > 3
        ends["answered"] += bool(dialogue.started & dialogue.ended)

    assert min(ends["over"], 500 - ends["over"], ends["opened"], ends["several"], ends["answered"]) > 50, ends


@given(st.binary(max_size=200), st.integers(0, 200))
@settings(max_examples=60, deadline=None)
def test_bytes_are_borne(data: bytes, cut: int) -> None:
    """Without any form, before and behind the preface."""
    for first in (b"", frames.PREFACE, frames.PREFACE + frames.settings([])):
        server: ServerConnection[Any] = ServerConnection(lambda request: request, LIMITS)
        server.receive(first + data[:cut])
        server.receive(data[cut:])
        server.output()


BODIES: Final = st.lists(st.integers(0, 20_000), min_size=1, max_size=4)


@given(BODIES, st.integers(300, 1 << 17), st.integers(1_000, 200_000), st.integers(0, 1 << 32), st.booleans())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_hyper_h2_asks_is_echoed(sizes: list[int], window: int, cut: int, seed: int, small: bool) -> None:
    """Bodies of any size, in pieces of any size, through windows of any size, each way."""
    rng = random.Random(seed)
    limits = Limits(stream_window_bytes=1_000 if small else 1 << 20, window_bytes=70_000)
    server: ServerConnection[Any] = ServerConnection(lambda request: request, limits)
    client = h2.connection.H2Connection(h2.config.H2Configuration())
    client.local_settings = h2.settings.Settings(client=True, initial_values={4: window})
    client.initiate_connection()
    server.receive(client.data_to_send())
    client.receive_data(b"".join(server.output()))  # the server's windows are known before anything is sent
    bodies = {2 * number + 1: rng.randbytes(size) for number, size in enumerate(sizes)}
    left, got, asked = dict(bodies), dict.fromkeys(bodies, b""), dict.fromkeys(bodies, b"")
    ended: set[int] = set()
    for stream_id in bodies:
        client.send_headers(stream_id, FIELDS)

    while len(ended) < len(bodies):
        progress = _send(client, left)
        sent = client.data_to_send()
        for start in range(0, len(sent), cut):
            for event in server.receive(sent[start : start + cut]):
                _echo(server, event, asked)
        for event in client.receive_data(b"".join(server.output())):
            progress = True
            if isinstance(event, h2.events.DataReceived):
                got[event.stream_id] += event.data
                client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                ended.add(event.stream_id)
        assert progress or sent, "both sides wait"

    assert got == bodies
    assert not server.is_over
    assert server.open_streams == 0


def _send(client: h2.connection.H2Connection, left: dict[int, bytes]) -> bool:
    """Send as much of the bodies as the server's windows allow; returns whether that was anything."""
    progress = False
    for stream_id, body in list(left.items()):
        room = min(client.local_flow_control_window(stream_id), client.max_outbound_frame_size)
        if not room and body:
            continue
        client.send_data(stream_id, body[:room], end_stream=len(body) <= room)
        progress = True
        left[stream_id] = body[room:]
        if len(body) <= room:
            del left[stream_id]
    return progress


def _echo(server: ServerConnection[Any], event: Any, asked: dict[int, bytes]) -> None:
    """Consume what comes, and answer with the body once it is whole."""
    assert not isinstance(event, Reset | Over)
    if not isinstance(event, Received):
        return
    asked[event.stream_id] += event.data
    server.consumed(event.stream_id, len(event.data))
    if event.ended:
        body = asked[event.stream_id]
        if body:
            server.answer(event.stream_id, STATUS_OK, body, field("status", b"0"))
        else:
            server.send_trailers(event.stream_id, STATUS_OK)
