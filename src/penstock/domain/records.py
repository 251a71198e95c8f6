"""One prediction as it is recorded."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from penstock.domain.tensor import Tensor

SCHEMA_VERSION: Final = 1
"""Grows when a column changes its meaning; a column that is added leaves it."""


class PayloadRecord(NamedTuple):
    """What was asked and what came of it, redacted: the columns of a recorded row, in their order."""

    request_id: str
    trace_id: str
    """Of the caller's `traceparent`, or of the trace that the server began; "" without one."""
    timestamp_us: int
    """The end of the prediction, in microseconds since the epoch, UTC."""
    model: str
    version: str
    """"" for a prediction that no version had a part in."""
    digest: str
    alias: str
    """By which the version was found, "" if by none."""
    route: str
    """The arm: `stable`, a canary's name, or `pinned`."""
    protocol: str
    status: str
    """OK, or how the prediction ended otherwise, as in metrics and logs."""
    error: str
    """"" for an answer, and where the model's tensors are redacted: messages quote what they complain of."""
    total_us: int
    queue_us: int
    infer_us: int
    batch_size: int
    """Rows of the run, all callers' rows together; 0 without an answer."""
    client_id: str
    """The `id` of the body, as the caller chose it."""
    sampling_fraction: float
    """With which probability a prediction such as this one is recorded: a row stands for 1 / sampling_fraction of them."""
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    metadata: Mapping[str, str]
    """Headers that the settings allow."""
    status_code: int = 200
    """The status that HTTP has for this end, whichever protocol it was."""
    subject: str = ""
    """Keyed hashes that tell whose prediction it was, a space between them; "" where the settings name no key, or the caller gave none."""
    caller: str = ""
    """The name of the key or token that it came with, or the keyed hash of that name; "" where no keys are asked for."""
