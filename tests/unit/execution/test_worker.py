"""What a worker process does on one of its channels, in this process."""

import os
import socket
from collections.abc import Callable
from types import ModuleType

import msgspec
import numpy as np

from penstock.domain.tensor import DATATYPES, Tensor
from penstock.execution.session import OrtSession
from penstock.execution.shared_slab import SharedSlab
from penstock.execution.worker import Runner
from penstock.execution.worker_frames import Failed, Ran, Run, Wire

OpenGraph = Callable[..., OrtSession]


def test_word_that_overtakes_its_run_ends_it(open_graph: OpenGraph, models: ModuleType) -> None:
    """It comes by another socket; the runs before and after are answered, also after a word about one that is long over."""
    slab = SharedSlab.new(256)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    placed = slab.write([(0, Tensor("X", DATATYPES["FP32"], np.ones((1, 4), np.float32)))])
    runner = Runner(open_graph(models.identity("same", "float", "batch,4")), Wire(theirs))
    runner._take(os.dup(slab.lend()))
    slab.close_descriptor()

    runner._serve(Run(1, placed, (0,), 64))
    for number in (2, 1):
        runner.end(number)
    for number in (2, 3):
        runner._serve(Run(number, placed, (0,), 64))

    wire = Wire(ours)
    answers = [wire.receive(msgspec.msgpack.Decoder(Ran | Failed), 1.0) for _ in range(3)]

    assert [type(answer) for answer in answers] == [Ran, Failed, Ran]
    ours.close()
    theirs.close()
