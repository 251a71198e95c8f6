"""What a user may say about recorded payloads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from penstock.payloads.keep_rules import KeepRule, keep_problems
from penstock.payloads.rules import rule_problem

DAY_MS: Final = 86_400_000


class SubjectOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Where a request says whose it is: the table `subject`. One of the two is given."""

    header: str = ""
    """A header of HTTP, and metadata of gRPC."""

    input: str = ""
    """An input, `user`, or a column of one, `features.user`; each row may have its own subject."""


class RecordingOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is recorded of one model: the table `payloads` of a model."""

    sample: float = 0.0
    """Which part of the predictions is recorded, by a hash of the request id; 0 is none, and 1 all."""

    keep_errors: bool = False
    """Whether each prediction that ended in an error is recorded, whatever `sample` says."""

    slower_ms: float | None = None
    """Predictions that took longer are recorded, whatever `sample` says."""

    keep: list[KeepRule] = msgspec.field(default_factory=list)
    """Answers of which each is recorded, whatever `sample` says: [{output = "score", above = 0.9}] by a range (`above`, `below` or both),
    [{output = "probabilities", confidence_below = 0.6}] those whose largest score is below."""

    keep_disagreements: bool = False
    """Whether each prediction is recorded in which a shadow of the route disagrees, whatever `sample` says."""

    redact: dict[str, str] = msgspec.field(default_factory=dict)
    """By input, output, or column of one (`features.zip`, or `zip` alone): "keep", "drop", "hash" (keyed), "truncate:N" (characters of a
    text, elements of other tensors) or "bucket:W" (numbers, down to a multiple of W). The name "*" stands for all that have no rule of
    their own: {"*" = "drop", age = "keep"} records the age and nothing else."""

    subject: SubjectOptions | None = None
    """Where a request says whose it is: {header = "x-user-id"}, or an input or a column of one, {input = "user"}. Its keyed hash is in the
    row, and `penstock payloads delete` finds it by that."""

    caller: Literal["name", "hash", "off"] = "name"
    """What the column `caller` holds on a server that asks for keys: the name of the key or token that the prediction came with, the
    keyed hash of that name, or nothing."""

    sink: Literal["", "jsonl", "parquet", "cloudevents", "kafka", "object_store"] = ""
    """Where the rows go; "": where `payloads.sink` says."""

    @property
    def records(self) -> bool:
        """Whether anything is recorded at all."""
        always = self.keep_errors or self.slower_ms is not None or bool(self.keep) or self.keep_disagreements
        return self.sample > 0 or always

    @property
    def needs_key(self) -> bool:
        """Whether anything is hashed."""
        return "hash" in self.redact.values() or self.subject is not None or self.caller == "hash"


def subject_problem(subject: SubjectOptions) -> str:
    """Return what makes no sense in a subject, "" if nothing does."""
    one = bool(subject.header) != bool(subject.input)
    return "" if one else 'subject must name one place: {header = "x-user-id"} or {input = "user"}'


def recording_problems(options: RecordingOptions) -> Iterator[str]:
    """Yield what makes no sense in the options."""
    if not 0 <= options.sample <= 1:
        yield f"sample is {options.sample:g}; it is a share from 0 to 1"
    if options.slower_ms is not None and not 0 <= options.slower_ms <= DAY_MS:
        yield f"slower_ms is {options.slower_ms:g}; it is a number of milliseconds from 0, up to a day"
    yield from keep_problems(options.keep)
    if options.subject is not None and (problem := subject_problem(options.subject)):
        yield problem
    for name, rule in options.redact.items():
        if problem := rule_problem(rule):
            yield f"redact.{name}: {problem}"


class BucketOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `payloads.object_store`: files in a bucket."""

    url: str = ""
    """Where the files go: s3://bucket/prefix, also gs and az. Credentials, region and endpoint come from the usual variables of the
    environment."""

    format: Literal["jsonl", "parquet"] = "jsonl"
    """What the files are."""

    keep_uploaded: bool = False
    """Whether files stay here too once they are in the bucket, in `payloads.dir`, as long as `keep_days` and `keep_bytes` say."""


class KafkaOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `payloads.kafka`: rows as messages, each a line of JSON, its request id the key."""

    url: str = ""
    """The brokers and the topic: kafka://host:port,host:port/topic."""

    options: dict[str, str] = msgspec.field(default_factory=dict)
    """Further options of the client, by librdkafka's names, such as {"compression.type" = "zstd"}."""


class EventOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `payloads.cloudevents`: the request and the answer of each prediction as events."""

    url: str = ""
    """The collector: http(s)://host/path."""

    source: str = ""
    """The attribute `source`; "": //host/penstock."""

    namespace: str = "default"
    """The attribute `namespace`."""

    mode: Literal["all", "request", "response"] = "all"
    """Which events are sent of a prediction: both, only the request, or only the response."""


class PayloadOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[payloads]`: where recorded payloads go, and what they may use."""

    dir: str = ""
    """Where the files are, and what waits for a sink elsewhere; "": the folder `payloads` in `server.state_dir`."""

    sink: Literal["jsonl", "parquet", "cloudevents", "kafka", "object_store"] = "jsonl"
    """Where rows go unless a model's table `payloads` says otherwise: "jsonl", files with lines of JSON; "parquet", files of Parquet (extra
    `parquet`); "object_store", files in a bucket (extra `s3`); "kafka", messages of a topic (extra `kafka`); "cloudevents", events over
    HTTP as KServe's logger sends them (extra `events`)."""

    object_store: BucketOptions = msgspec.field(default_factory=BucketOptions)
    """The bucket of the sink "object_store"."""

    kafka: KafkaOptions = msgspec.field(default_factory=KafkaOptions)
    """The topic of the sink "kafka"."""

    cloudevents: EventOptions = msgspec.field(default_factory=EventOptions)
    """The collector of the sink "cloudevents"."""

    timeout_s: float = 10.0
    """Seconds after which a call to a sink elsewhere is given up and tried again; the upload of a file has six times that."""

    buffer_bytes: int = 1024**3
    """What may wait on the disk for each sink elsewhere; beyond, the oldest rows are dropped, and counted."""

    max_bytes: int = 64 * 1024 * 1024
    """The most bytes of inputs and answers that may wait for one sink's writer; predictions beyond are not recorded, and counted."""

    flush_s: float = 1.0
    """Seconds that a row waits at most before it is written: what a crash may cost."""

    rotate_bytes: int = 64 * 1024 * 1024
    """The size at which a file is sealed and the next one begun."""

    rotate_s: float = 300.0
    """The age at which a file is sealed; until then its name is hidden."""

    keep_days: float = 30.0
    """Days after which a file is removed, and what waits for a sink elsewhere. What law or contract ask for comes first: set it."""

    keep_bytes: int = 10 * 1024**3
    """What all files together may take; beyond, the oldest go."""

    headers: list[str] = msgspec.field(default_factory=list)
    """Request headers, or gRPC metadata, that are recorded in the column `metadata`; no others ever are."""

    def directory(self, state_dir: Path) -> Path:
        """Return where the files are, "" resolved."""
        return Path(self.dir) if self.dir else state_dir / "payloads"
