"""Which fields of Triton's model configuration have an effect here, and what is said about all others."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import Message

from penstock.wire import inference

ACCELERATORS: Final = "optimization.execution_accelerators"
_TRANSLATED: Final = frozenset(
    prefix + name
    for prefix, names in {
        "": ("name", "platform", "backend", "default_model_filename", "max_batch_size", "parameters"),
        "version_policy.": ("latest.num_versions", "specific.versions"),
        "input.": ("name", "data_type", "dims", "reshape.shape", "optional"),
        "output.": ("name", "data_type", "dims", "reshape.shape", "label_filename"),
        "instance_group.": ("name", "kind", "count", "gpus", "passive"),
        "dynamic_batching.default_queue_policy.": ("max_queue_size",),
        "optimization.graph.": ("level",),
        f"{ACCELERATORS}.": ("gpu_execution_accelerator", "cpu_execution_accelerator"),
    }.items()
    for name in names
)
"""The fields that have a counterpart here."""

_REFUSED: Final = {
    "sequence_batching": "no state is kept between requests",
    "ensemble_scheduling": "no model is made of other models",
    "model_transaction_policy.decoupled": "each request has exactly one answer",
    "model_operations.op_library_filename": "native code is not loaded",
    "model_repository_agents": "no agent prepares the model's files",
    "input.allow_ragged_batch": "rows of different shapes do not run together",
    "batch_input": "no input is made from the other requests of a batch",
    "batch_output": "no output is spread over the requests of a batch",
}
"""The fields without which answers would be wrong, and why they cannot be honoured."""

_IGNORED: Final = {
    "runtime": "the engine is ONNX Runtime",
    "cc_model_filenames": "every device runs the same file",
    "metric_tags": "metrics have fixed labels",
    "model_metrics": "histograms have fixed buckets",
    "model_warmup": "every version is warmed with inputs made from its schema",
    "response_cache.enable": "answers are not cached",
    "input.format": "tensors are passed on as they come",
    "instance_group.rate_limiter": "`lanes` alone bounds how many runs there are at once",
    "instance_group.profile": "the choice of a profile is left to TensorRT",
    "instance_group.secondary_devices": "only CPU and GPU are used",
    "instance_group.host_policy": "threads and memory are not pinned to a host policy",
    "dynamic_batching.preferred_batch_size": "the batcher finds good sizes by measuring",
    "dynamic_batching.max_queue_delay_microseconds": "the batcher waits only while that pays; see `slo_ms`",
    "dynamic_batching.preserve_ordering": "answers leave as soon as they are ready",
    "dynamic_batching.priority_levels": "a request's priority is critical, normal or sheddable",
    "dynamic_batching.default_priority_level": "a request's priority is normal unless it says otherwise",
    "dynamic_batching.priority_queue_policy": "all priorities share one queue",
    "dynamic_batching.default_queue_policy.timeout_action": "a request that is too late is refused",
    "dynamic_batching.default_queue_policy.default_timeout_microseconds": "see `server.request_timeout_s`",
    "dynamic_batching.default_queue_policy.allow_timeout_override": "a request may always state its own deadline",
    "optimization.priority": "models have no priority among each other",
    "optimization.cuda": "CUDA graphs are not captured",
}
"""The fields that change speed or bookkeeping but no answer, and why they have no effect."""


_JUDGED: Final = _TRANSLATED | _REFUSED.keys() | _IGNORED.keys()


@dataclass
class Notes:
    """What there is to say about a configuration, each sentence once, in the order of the fields."""

    warnings: dict[str, None] = field(default_factory=dict)
    refusals: dict[str, None] = field(default_factory=dict)

    def ignore(self, path: str, reason: str) -> None:
        """Say that a field has no effect."""
        self.warnings[f"{path} is ignored: {reason}"] = None

    def refuse(self, path: str, reason: str) -> None:
        """Say that a field forbids to serve the model."""
        self.refusals[f"{path} is not supported: {reason}"] = None


def judge(config: inference.ModelConfig) -> Notes:
    """Return a note for every field that is set and has no counterpart here."""
    notes = Notes()
    for path in _paths(config):
        if path in _REFUSED:
            notes.refuse(path, _REFUSED[path])
        elif path not in _TRANSLATED:
            notes.ignore(path, _IGNORED.get(path, "Penstock has no such setting"))
    return notes


def _paths(message: Message, prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of every field that is set, no deeper than where the tables speak of it."""
    for descriptor, value in message.ListFields():
        path = prefix + descriptor.name
        if path in _JUDGED or descriptor.message_type is None or descriptor.message_type.GetOptions().map_entry:
            yield path
            continue
        for inner in value if descriptor.is_repeated else [value]:
            yield from _paths(inner, f"{path}.")
