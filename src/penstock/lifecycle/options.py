"""What a user may say about one model."""

from typing import Literal

import msgspec

from penstock.domain.route import Route
from penstock.monitoring.feedback_options import FeedbackOptions
from penstock.monitoring.options import MonitoringOptions
from penstock.payloads.options import RecordingOptions


class PadOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one input is padded, so that requests of different lengths may run together: a table of `pad`."""

    axis: int
    """The dimension whose length differs between requests; the batch is 0."""

    value: bool | int | float | str = 0
    """What shorter rows are filled up with, at their end."""

    mask: str | None = None
    """The input that tells elements (1) from padding (0); the server fills it in where a caller leaves it out."""


class ModelOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The sections `[defaults]` and `[models.<name>]`, and the keys of a `model.toml`."""

    versions: str | list[str | int] = "latest:1"
    """Which versions are served: "latest:N" (plus what an alias names), "all", or an exact list of numbers and aliases."""

    route: Route | None = None
    """How the traffic is divided at first: {stable = "champion", canaries = [{name = "b", version = "challenger", weight = 5}]}. A route
    that was set through the admin listener holds until this one is changed."""

    keep_warm_s: float = 600.0
    """Seconds for which the version that an alias has left stays loaded, so that moving the alias back takes effect at once. It needs the
    memory of one more version for each alias that has moved; 0 frees it at once."""

    lowest_version: int = 0
    """No version below is served, whatever asks for it: so that nobody brings back one with a known fault."""

    slo_ms: float | Literal["auto"] = "auto"
    """The latency to aim at; it orders and bounds the queue. "auto": the larger of 100 and 10x the measured run of one row."""

    batching: Literal["adaptive", "fixed", "off"] = "adaptive"
    """Whether rows of different requests may run together. "fixed" always takes up to `max_batch_rows`, whatever was measured."""

    max_batch_rows: int = 64
    """The most rows of one run; a longer request is split and rejoined."""

    pad: dict[str, PadOptions] = msgspec.field(default_factory=dict)
    """By input: how requests of different lengths are padded to run together, {axis = 1, value = 0, mask = "mask"}. Used only if a probe
    at load shows that padding changes no answer."""

    max_batch_elements: int | Literal["auto"] = "auto"
    """With `pad`: the most elements of one run, rows times padded length. "auto": 512 for each row of `max_batch_rows`."""

    devices: list[str] = msgspec.field(default_factory=lambda: ["cpu"])
    """Where the model runs: "cpu", "cuda:0", "tensorrt:0"."""

    spill: bool = True
    """Whether a device that is not the first in `devices` may run what the first could not end in time; their answers may differ in the
    last bits."""

    lanes: int | Literal["auto"] = "auto"
    """How many runs of the model may be under way at once."""

    threads: int | Literal["auto"] = "auto"
    """Threads that one run may use inside ONNX Runtime."""

    queue_rows: int | Literal["auto"] = "auto"
    """The most rows that may wait; "auto" derives it from `slo_ms` and the measured speed."""

    queue_bytes: int | Literal["auto"] = "auto"
    """The most bytes of input that may wait; "auto" is 256 MiB."""

    slab_bytes: int | Literal["auto"] = "auto"
    """The most memory that is kept between runs for their inputs and outputs, where the server and a worker process share it. What a run
    needs beyond it is freed after the run. "auto" is 256 MiB."""

    warmup: Literal["auto", "off"] = "auto"
    """Whether the batch sizes run once before the version is ready."""

    columns: dict[str, list[str]] = msgspec.field(default_factory=dict)
    """By input or output: the names of the entries along its last dimension, {features = ["age", "zip"]}, for rules of `payloads.redact`.
    Without it they are the version's lineage's or MLflow's."""

    payloads: RecordingOptions = msgspec.field(default_factory=RecordingOptions)
    """What is recorded of inputs and answers: {sample = 0.1, redact = {email = "drop"}}. Nothing, unless it is set."""

    monitoring: MonitoringOptions = msgspec.field(default_factory=MonitoringOptions)
    """What is watched for drift: {drift = "live", window_rows = 1000, inputs = ["*"]}. A version that was published with a reference,
    unless it is set."""
    feedback: FeedbackOptions = msgspec.field(default_factory=FeedbackOptions)
    """Whether the truth about answers may be told, and how they are judged by it: {enabled = true}."""

    require_placement: dict[str, float] = msgspec.field(default_factory=dict)
    """The least share of graph nodes that must run on a provider, such as {cuda = 0.95}."""

    isolation: Literal["thread", "process"] = "thread"
    """Where the model runs: on threads of the server, or in a worker process of its own, whose crash, hang or hunger for memory takes
    down that process and nothing else. It costs about 30 MiB of memory beside the model, and some 0.1 ms for each run."""

    hang_s: float = 60.0
    """With `isolation = "process"`: the most seconds of one run. It is told to end then, and a second later its process is."""

    memory_bytes: int | Literal["auto"] = "auto"
    """With `isolation = "process"`: the most memory that the model's process may take, weights included. "auto": what the machine has,
    or what the server's control groups allow."""

    session_options: dict[str, str | int | bool] = msgspec.field(default_factory=dict)
    """Options of ONNX Runtime's session, by the names of its Python class or its configuration keys. `enable_mem_pattern` is false unless
    it is set here: it keeps a plan for every shape that was ever seen."""

    provider_options: dict[str, dict[str, str | int | bool]] = msgspec.field(default_factory=dict)
    """Options of an execution provider, by device kind."""
