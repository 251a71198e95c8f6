"""Predictions that have ended, as a recording hears of them."""

from types import SimpleNamespace

import numpy as np

from penstock.domain.errors import ModelFailed
from penstock.domain.model import ModelVersion
from penstock.domain.records import PayloadRecord
from penstock.domain.request import InferenceRequest
from penstock.domain.tensor import DATATYPES, Tensor, TensorSpec
from penstock.domain.ticket import Ticket

VERSION = ModelVersion("m", "1", "d" * 64)


class Quiet:
    """A reply and a lease of no interest."""

    identity = VERSION

    def __init__(self, names=("X", "Y")):
        named = {name: spec(name) for name in names}
        self.schema = SimpleNamespace(input_named=named, output_named=named)

    def answer(self, response):
        pass

    def fail(self, error):
        pass

    def release(self):
        pass


def spec(name, *columns, shape=None, wire="FP32"):
    """Return what a model declares of a tensor, its columns named if any are given."""
    return TensorSpec(name, DATATYPES[wire], shape or (-1, len(columns) or -1), columns=columns)


def tensor(name, values, wire="FP32"):
    """Return a tensor."""
    return Tensor(name, DATATYPES[wire], np.array(values, dtype=DATATYPES[wire].dtype))


def ended(request_id, inputs=None, *, protocol="http", failed=False, took_ns=1_000_000, names=("X", "Y"), answer=((3.0,),)):
    """Return the ticket of a prediction that has ended."""
    inputs = [tensor("X", [[1.0, 2.0]])] if inputs is None else inputs
    request = InferenceRequest(protocol, "m", "", inputs, request_id=request_id, arrived_ns=1)
    ticket = Ticket(request, Quiet(), lambda _: None, lambda: 1 + took_ns)
    ticket.lease = Quiet(names)
    if failed:
        ticket.fail(ModelFailed("the value 'CANARY' is out of range"))
    else:
        ticket.answer([tensor("Y", answer)], 1)
    return ticket


def record(inputs=(), outputs=(), *, model="m", version="1", timestamp_us=1_700_000_000_000_000, request_id="r"):
    """Return a record."""
    return PayloadRecord(
        request_id, "", timestamp_us, model, version, "d", "", "stable", "http", "OK", "", 5, 1, 2, 1, "", 1.0, inputs, outputs, {}
    )
