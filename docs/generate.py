"""Writes the reference pages that repeat what the code says; with `--check`, tells whether they still do.

Run it as `python docs/generate.py`. A page is a function that returns its text, listed in `PAGES`.
"""

import ast
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from penstock.batching.actions import Reason
from penstock.batching.history import ERROR_BUCKETS_PERCENT
from penstock.batching.room import Shortage
from penstock.cli.main import commands
from penstock.config.origins import written
from penstock.config.schema import ROOT
from penstock.config.settings import Settings
from penstock.domain import errors
from penstock.domain.errors import Bar, ErrorCode, PenstockError
from penstock.domain.outcome import OUTCOME_OF
from penstock.execution.breaker import BreakerState
from penstock.execution.worker_channel import Death
from penstock.grpc.errors import STATUS_OF
from penstock.http.errors import STATUS
from penstock.inference.shadow_queue import ShadowEnd
from penstock.monitoring.feedback import REFUSED
from penstock.monitoring.recent_predictions import Reason as WordReason
from penstock.telemetry.family import Family
from penstock.telemetry.hook_errors import HOOKS
from penstock.telemetry.metrics import FAMILIES
from penstock.telemetry.provenance import MOST_ALIASES
from penstock.telemetry.statistics import BATCH_BUCKETS, DURATION_BUCKETS_S
from penstock.traffic.tally import Measure

REFERENCE: Final = Path(__file__).parent / "reference"

_SETTINGS_HEAD: Final = """
# Settings

A setting comes from its default, the TOML file, the environment or a flag; the later of these wins, key by key, also
inside tables. `penstock check` prints the settings in force and the origin of each.

| Source | How to set `server.http_port` |
|---|---|
| file | `[server]` and below it `http_port = 9000` in `penstock.toml`, or in the file that `--config` names |
| environment | `PENSTOCK_SERVER__HTTP_PORT=9000`: capitals, a double underscore between the parts of a key |
| flag | `--http-port 9000`, or for any key `--set server.http_port=9000` |

In the environment and after `--set` a value is read as TOML, else it is text: `5`, `true`, `["cpu"]`, `latest:2`. The
name of a model that has a dot in it stands in quotes: `[models."a.b"]`, `--set 'models."a.b".slo_ms=50'`. In a variable
the name is matched with the models of the file whatever its capitals; a model that the file does not name is taken in
lower case. A relative path starts at the working directory. A key that does not exist and a value that does not fit are
errors, all told at once, and the server does not start.
"""

_CLI_HEAD: Final = """
# Commands

| Exit code | Meaning |
|---|---|
| 0 | done |
| 1 | refused or failed, or a threshold is broken |
| 2 | a mistake in usage or settings, a port that is taken, a directory that cannot be used, nothing to measure |
| 3 | an invalid measurement: the load generator fell behind |
"""

_ERRORS_HEAD: Final = """
# Errors

Over HTTP an error is a JSON body, `{"error": "what was wrong, the value seen, what to do", "code": "<code>"}`, with the
status below. Over gRPC the same text is in the status details; there is no code beside the status.

The ledger books each prediction that ends with an error under the outcome in the last column. `shed` and `expired` mean
that the request was not executed and may be sent again; `failed` is the only outcome that is the server's or the model's
fault.
"""

_ERRORS_FOOT: Final = """
## Coming back

`OVERLOADED`, `QUOTA_EXCEEDED` and `UNAVAILABLE` carry `retry-after` in seconds over HTTP; for an overload it is computed from what waits
and from how long runs take, for a model whose device fails from when it is tried again. gRPC tells of an overload or a quota in
`grpc-retry-pushback-ms`, and never of an `UNAVAILABLE`: that may be asked of another server at once. `UNSUPPORTED_ENCODING` carries
`accept-encoding`, `UNAUTHENTICATED` carries `www-authenticate`, `METHOD_NOT_ALLOWED` carries `allow`.

`CANCELLED` is never seen by anybody but the log and the metrics: its caller has left.

## Errors of the transport

A request that cannot be read as HTTP is told with the same body, and a [status of its own](protocol.md#errors). Over gRPC an unknown
method or compression is UNIMPLEMENTED, a message above `grpc.max_message_bytes` RESOURCE_EXHAUSTED, and data that do not inflate are
INVALID_ARGUMENT. With `grpc.transport = "grpcio"` such mistakes never reach Penstock, and data that do not inflate are INTERNAL.
"""

_METRICS_HEAD: Final = """
# Metrics

`GET /metrics` on the admin listener, without a token, as Prometheus text or OpenMetrics, whichever the scraper asks for.
"""

_METRICS_LABELS: Final = """
## Labels

| Label | Values |
|---|---|
| `model` | a model of the registry; calls for one that is not known count as `other` |
| `version` | a version's number, or `""` for what ended before a version was chosen |
| `protocol` | `http`, `grpc` |
| `route` | the arm that answered: `stable` (`pinned` counts as such), `canary` whatever its name, or `""` where no version was chosen |
| `status` | `OK`, `CANCELLED`, or the [code](errors.md) of an error |
| `reason` of rejected | `queue_full` (`OVERLOADED`), `quota` (`QUOTA_EXCEEDED`), `deadline`, `shed` (`UNAVAILABLE`), `too_large` |
| `reason` of batches | {reasons}: [why a batch started](../guides/batching.md#why-a-batch-started) |
| `result` | `ok`, `failed` |
| `shortage` | {shortages}: [what a refused request would have needed more of](../guides/batching.md#what-a-refusal-means) |
| `end` | {ends}: [what became of a request that a shadow was to follow](../guides/shadows.md#what-becomes-of-a-request) |
| `measure` | {measures}: [by what answers are compared](../guides/shadows.md#how-answers-are-compared) |
| `side` | `inputs`, `outputs` |
| `feature` | [a column of the inputs or outputs](../guides/monitoring.md#what-is-watched), so many as `exported_features` says |
| `cause` | `passed`: the deadline was over; `hopeless`: it would have been before a run could end |
| `device` | a device of the version, such as `cpu` or `cuda:0` |
| `listener` | `http`, `grpc`, `admin` |
| `reason` of calls turned away | {bars}: [why](../guides/access.md#scopes) |
| `reason` of rows dropped | [what was in the way](../guides/payloads.md#what-it-may-cost), also [elsewhere](../guides/payload-sinks.md) |
| `sink` | a [sink](../guides/payload-sinks.md) that a model names |
| `reason` of deaths | {deaths}: [how a worker died](../guides/isolation.md#what-tells) |
| `state` | {breakers}: of a worker's [breaker](../guides/isolation.md#what-happens-to-a-run) |
| `bound` | `estimate`, `low`, `high`: of an interval of 99 % |
| `hook` | {hooks}: who [looks on](../operations.md#penstockhookerrors) at predictions |
| `aliases` | the version's, with commas between them; beyond {most} `+` and how many more |
| `outcome` of feedback | {words}: [what became of a word](../guides/feedback.md#what-becomes-of-a-word) |
| `provider`, `digest` | the version's devices; the sha256 over its files |
"""

_METRICS_FOOT: Final = """
## Reading them

Durations are in seconds; those of the `nv_` family are cumulative microseconds, without the suffix `_total`, as Triton
writes them (`rate()` works on them). Durations count every prediction at its end; queue and compute only those that were
answered. Each request of a batch is charged the full time of its batch.

| Question | Expression |
|---|---|
| answers per second | `sum by (model) (rate(penstock_requests_total{status="OK"}[1m]))` |
| refused or failed, by model | `sum by (model) (rate(penstock_outcomes_total{outcome!="answered"}[5m]))` |
| 99th percentile | `histogram_quantile(0.99, sum by (le, model) (rate(penstock_request_duration_seconds_bucket[5m])))` |
| mean batch | `rate(nv_inference_count[1m]) / rate(nv_inference_exec_count[1m])` |
| padding, as a part of what is run | `rate(penstock_padding_total[5m]) / rate(penstock_run_size_total[5m])` |
| how good the predicted times are | `histogram_quantile(0.5, sum by (le, model) (rate(penstock_run_error_ratio_bucket[5m])))` |
| batches by why they started | `sum by (model, reason) (rate(penstock_batches_total[5m]))` |
| what is refused, and why | `sum by (model, shortage) (rate(penstock_refusals_total[5m]))` |
| disagreement of a shadow | `rate(penstock_shadow_mismatch_total[1h]) / rate(penstock_shadow_compared_total[1h])` |
| what shadows miss, and why | `sum by (model, version, end) (rate(penstock_shadow_requests_total{end!="compared"}[5m]))` |
| features that drift now | `sum by (model, version, side) (penstock_drift_features_drifting)` |
| accuracy of a version beside the stable one | `penstock_quality_accuracy` by `version` and `route` |
| feedback by what became of it | `sum by (model, outcome) (rate(penstock_feedback_total[1h]))` |
| predictions under way | `sum(penstock_received_total) - sum(penstock_outcomes_total)` |
"""


def settings_page() -> str:
    """Return the page of all settings: section by section, each key with its values, default and meaning."""
    sections = (line for name in ROOT.keys for line in _section(name))
    return "\n".join([_generated(_SETTINGS_HEAD), *sections])


def cli_page() -> str:
    """Return the page of all commands: the help text of each, as a terminal shows it."""
    return "\n".join([_generated(_CLI_HEAD), *_command_lines(commands, "penstock")])


def errors_page() -> str:
    """Return the page of all error codes: status on each wire, outcome, and what they mean."""
    head = ["| Code | HTTP | gRPC | Meaning | Outcome |", "|---|---|---|---|---|"]
    return "\n".join([_generated(_ERRORS_HEAD), *head, *map(_error_row, ErrorCode), _ERRORS_FOOT])


def metrics_page() -> str:
    """Return the page of all metrics: name, kind, labels and meaning, and the values of the labels."""
    outcomes = ", ".join(f"`{outcome}`" for outcome in dict.fromkeys(OUTCOME_OF.values()))
    tables = [_family_table(title, prefix) for title, prefix in (("Penstock", "penstock_"), ("Triton", "nv_"))]
    labels = _METRICS_LABELS.format(
        reasons=_listed(Reason),
        shortages=_listed(Shortage),
        ends=_listed(ShadowEnd),
        measures=_listed(Measure),
        words=_listed((*WordReason, REFUSED)),
        bars=_listed(Bar),
        deaths=_listed(Death),
        breakers=_listed(BreakerState),
        hooks=_listed(HOOKS),
        most=MOST_ALIASES,
    )
    labels = f"{labels.rstrip()}\n| `outcome` | `answered`, {outcomes} |"
    buckets = (
        f"## Buckets\n\nDurations, in seconds: {', '.join(f'{edge:g}' for edge in DURATION_BUCKETS_S)}.\n\n"
        f"Rows of a run: {', '.join(map(str, BATCH_BUCKETS))}.\n\n"
        f"Error of a predicted time, as a part of it: {', '.join(f'{edge / 100:g}' for edge in ERROR_BUCKETS_PERCENT)}.\n"
    )
    return "\n".join([_generated(_METRICS_HEAD), *tables, labels.lstrip(), f"\n{buckets}{_METRICS_FOOT}"])


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "settings.md": settings_page,
    "cli.md": cli_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
}
"""Each page of the reference that is made from code, and what makes it."""


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a page differs from the code.")
def main(check: bool) -> None:
    """Write the generated pages of the reference."""
    stale = [name for name, page in PAGES.items() if not _is_current(REFERENCE / name, page())]
    for name in stale:
        click.echo(f"docs/reference/{name} {'differs from the code; run docs/generate.py' if check else 'written'}")
        if not check:
            (REFERENCE / name).write_text(PAGES[name](), "utf-8")
    sys.exit(1 if check and stale else 0)


def _is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text


def _generated(head: str) -> str:
    return f"<!-- Made by docs/generate.py from the code: change it there. -->\n{head}"


def _section(name: str) -> Iterator[str]:
    meanings, node = field_meanings(Settings), ROOT.child(name)
    free = "" if node and node.keys else ".<name>"
    yield f"## [{name}{free}]\n\n{meanings[name]}\n"
    if node and not free:
        yield from _table(name, node.kind)


def _table(path: str, struct: Any) -> Iterator[str]:
    """Yield the keys of a table, and below it the tables within."""
    yield from ["| Key | Values | Default | Meaning |", "|---|---|---|---|", *_rows(struct), ""]
    for field in msgspec.structs.fields(struct):
        if _is_table(field.type):
            yield f"### [{path}.{field.name}]\n\n{inspect.cleandoc(field.type.__doc__ or '')}\n"
            yield from _table(f"{path}.{field.name}", field.type)


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _rows(struct: Any) -> Iterator[str]:
    meanings, defaults = field_meanings(struct), struct()
    for key, meaning in meanings.items():
        node, default = ROOT._replace(kind=struct).child(key), getattr(defaults, key)
        expected = node.expected() if node else ""
        shown = "below" if _is_table(type(default)) else f"`{written(default)}`"
        yield f"| `{key}` | {_cell(expected)} | {shown} | {_cell(meaning)} |"


def _error_row(code: ErrorCode) -> str:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PenstockError)]
    kinds.sort(key=lambda kind: inspect.getsourcelines(kind)[1])
    meaning = " ".join(_first_line(kind) for kind in kinds if kind.code is code and _has_code(kind))
    return f"| `{code}` | {STATUS[code]} | {STATUS_OF[code].name} | {_cell(meaning)} | {OUTCOME_OF[code]} |"


def _has_code(kind: type) -> bool:
    """Tell whether an error has a code of its own or of its family, not only what every error has that says nothing."""
    return any("code" in vars(base) for base in kind.mro() if base is not PenstockError)


def _first_line(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]


def _family_table(title: str, prefix: str) -> str:
    rows = [_family_row(family) for family in FAMILIES if family.name.startswith(prefix)]
    return "\n".join([f"## {title}\n", "| Metric | Kind | Labels | Meaning |", "|---|---|---|---|", *rows, ""])


def _family_row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    return f"| `{family.name}` | {family.kind} | {labels} | {_cell(family.help)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _command_lines(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[str]:
    context = click.Context(command, parent, name, terminal_width=100, **command.context_settings)
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for key in command.list_commands(context):
            yield from _command_lines(command.commands[key], key, context)


def field_meanings(struct: type) -> dict[str, str]:
    """Return the docstring under each field of a struct, or raise `LookupError` for a field without one.

    Python drops these strings, so they are read from the source.
    """
    source = ast.parse(inspect.getsource(sys.modules[struct.__module__]))
    body = next(node.body for node in source.body if isinstance(node, ast.ClassDef) and node.name == struct.__name__)
    meanings = dict(_meanings(body))
    missing = [name for name in inspect.get_annotations(struct) if name not in meanings]
    if missing:
        raise LookupError(f"{struct.__name__} has fields without a docstring: {', '.join(missing)}")
    return meanings


def _meanings(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, text in pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(meaning))):
                yield name, inspect.cleandoc(meaning)


if __name__ == "__main__":
    main()
