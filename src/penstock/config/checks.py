"""Which values each key takes, beyond their type."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from penstock.config.settings import ServerOptions, Settings
from penstock.domain.names import is_model_name
from penstock.grpc.options import GrpcOptions
from penstock.http.options import HttpOptions
from penstock.inference.options import ShadowOptions
from penstock.lifecycle.options import ModelOptions, PadOptions
from penstock.lifecycle.rules import COUNT, DAY_S, MODEL_RULES, Rule, or_auto
from penstock.monitoring.feedback_options import FeedbackOptions, feedback_problems
from penstock.monitoring.options import LEAST_ROWS, MOST_FEATURES, MOST_ROWS, Limits, MonitoringOptions
from penstock.payloads.keep_rules import keep_problems
from penstock.payloads.options import DAY_MS, BucketOptions, EventOptions, KafkaOptions, PayloadOptions, RecordingOptions, subject_problem
from penstock.payloads.rules import rule_problem
from penstock.registry.options import RegistryOptions
from penstock.security.options import JwtOptions, SecurityOptions, security_problems
from penstock.telemetry.options import TelemetryOptions

# Lengths of messages and counts of streams are C ints below.
_INT_MAX: Final = 2**31 - 1
_PORT_MAX: Final = 65_535
_DAYS_MAX: Final = 36_500
_IS_TOPIC: Final = re.compile(r"kafka://[^/@\s]+/[A-Za-z0-9._-]{1,249}")


_TEXT: Final = Rule("non-empty text", lambda value: bool(value.strip()))
_PORT: Final = Rule(f"a port from 0 to {_PORT_MAX}", lambda value: 0 <= value <= _PORT_MAX)
# The upper bound is there to refuse `inf`, which TOML can write and no timer can wait for.
_SECONDS: Final = Rule("a number of seconds above 0, up to a day", lambda value: 0 < value <= DAY_S)
_SECONDS_OR_NONE: Final = Rule("a number of seconds from 0 up to a day", lambda value: 0 <= value <= DAY_S)
_COUNT_OR_NONE: Final = Rule("a whole number from 0", lambda value: value >= 0)
_C_COUNT: Final = Rule(f"a whole number from 1 to {_INT_MAX}", lambda value: 1 <= value <= _INT_MAX)
_RATE: Final = Rule("a number from 0 up to a billion", lambda value: 0 <= value <= 1e9)  # noqa: PLR2004
_SHARE: Final = Rule("a number from 0 to 1", lambda value: 0 <= value <= 1)
_PART: Final = Rule("a number above 0, up to 1", lambda value: 0 < value <= 1)
_DIFFERENCE: Final = Rule("a number from 0 on", lambda value: 0 <= value < math.inf)
_FILES: Final = Rule("a list of file names", lambda value: all(name.strip() for name in value))
_DAYS: Final = Rule("a number of days above 0, up to 36500", lambda value: 0 < value <= _DAYS_MAX)
_HEADERS: Final = Rule("a list of header names", lambda value: all(name.strip() for name in value))
_MILLISECONDS: Final = Rule("a number of milliseconds from 0, up to a day", lambda value: value is None or 0 <= value <= DAY_MS)
_REDACTION: Final = Rule('"keep", "drop", "hash", "truncate:N" or "bucket:W"', lambda value: not rule_problem(value))
_WINDOW: Final = Rule(f"a number of rows from {LEAST_ROWS} to {MOST_ROWS}", lambda value: LEAST_ROWS <= value <= MOST_ROWS)
_FEATURES: Final = Rule(f"a whole number from 0 to {MOST_FEATURES}", lambda value: 0 <= value <= MOST_FEATURES)
_LIMIT: Final = Rule("a number above 0, up to 100", lambda value: 0 < value <= 100)  # noqa: PLR2004 - as in the words
_CHANCE: Final = Rule("a probability above 0, up to 0.1", lambda value: 0 < value <= 0.1)  # noqa: PLR2004 - as in the words
_LONG: Final = Rule("a number of seconds above 0, up to a year", lambda value: not any(feedback_problems(FeedbackOptions(keep_s=value))))
_JUDGED: Final = Rule("a whole number from 1 to 1000000", lambda value: not any(feedback_problems(FeedbackOptions(window_rows=value))))
_DIFFERENT: Final = Rule("a list of names that differ", lambda value: len(set(value)) == len(value))
_KEPT: Final = Rule(
    "a list of tables, each an output with above, below or both, or with confidence_below, all finite numbers",
    lambda value: not any(keep_problems(value)),
)
_SUBJECT: Final = Rule(
    'a table that names one place: {header = "x-user-id"} or {input = "user"}', lambda value: value is None or not subject_problem(value)
)
_ADDRESS: Final = Rule(
    "an address that begins with http:// or https://", lambda value: not value or value.startswith(("http://", "https://"))
)
_BUCKET: Final = Rule(
    "an address such as s3://bucket/prefix, also gs or az, without credentials",
    lambda value: not value or (value.startswith(("s3://", "gs://", "az://")) and "@" not in value),
)
_TOPIC: Final = Rule(
    "an address such as kafka://host:port,host:port/topic", lambda value: not value or _IS_TOPIC.fullmatch(value) is not None
)
_HOSTS: Final = Rule("a list of host names", lambda value: all(name.strip() for name in value))

RULES: Final[Mapping[type[msgspec.Struct], Mapping[str, Rule]]] = {
    ServerOptions: {
        "host": _TEXT,
        "http_port": _PORT,
        "grpc_port": _PORT,
        "admin_host": _TEXT,
        "admin_port": _PORT,
        "state_dir": _TEXT,
        "request_timeout_s": _SECONDS,
        "max_request_timeout_s": _SECONDS,
        "drain_s": _SECONDS_OR_NONE,
        "announce_s": or_auto(_SECONDS_OR_NONE),
        "shed_memory_above": _PART,
    },
    HttpOptions: {
        "max_body_bytes": COUNT,
        "compress_above_bytes": _COUNT_OR_NONE,
        "allowed_hosts": _HOSTS,
        "keep_alive_s": _SECONDS,
        "head_timeout_s": _SECONDS,
        "body_timeout_s": _SECONDS,
        "min_body_bytes_per_s": COUNT,
        "write_timeout_s": _SECONDS,
        "max_request_line_bytes": COUNT,
        "max_header_bytes": COUNT,
        "max_head_bytes": COUNT,
        "max_headers": COUNT,
        "max_connections": COUNT,
        "max_pipelined": COUNT,
    },
    GrpcOptions: {
        "max_message_bytes": _C_COUNT,
        "max_streams": _C_COUNT,
        "max_metadata_bytes": _C_COUNT,
        "max_connections": COUNT,
        "handshake_timeout_s": _SECONDS,
        "message_timeout_s": _SECONDS,
        "min_message_bytes_per_s": COUNT,
        "write_timeout_s": _SECONDS,
        "keepalive_s": _SECONDS,
        "keepalive_timeout_s": _SECONDS,
        "max_connection_age_s": _SECONDS_OR_NONE,
        "max_connection_age_grace_s": _SECONDS_OR_NONE,
    },
    RegistryOptions: {"uri": _TEXT, "poll_s": _SECONDS_OR_NONE, "trusted_keys": _FILES, "cache_bytes": _COUNT_OR_NONE},
    ShadowOptions: {
        "device_share": _SHARE,
        "max_loop_load": _SHARE,
        "max_bytes": _COUNT_OR_NONE,
        "run_limit_s": _SECONDS,
        "noise_sample": _SHARE,
        "rtol": _DIFFERENCE,
        "atol": _DIFFERENCE,
        "examples": _COUNT_OR_NONE,
    },
    PayloadOptions: {
        "max_bytes": _COUNT_OR_NONE,
        "flush_s": _SECONDS,
        "rotate_bytes": COUNT,
        "rotate_s": _SECONDS,
        "keep_days": _DAYS,
        "keep_bytes": _COUNT_OR_NONE,
        "headers": _HEADERS,
        "timeout_s": _SECONDS,
        "buffer_bytes": COUNT,
    },
    BucketOptions: {"url": _BUCKET},
    KafkaOptions: {"url": _TOPIC},
    EventOptions: {"url": _ADDRESS, "namespace": _TEXT},
    TelemetryOptions: {"otlp_endpoint": _ADDRESS, "trace_ratio": _SHARE, "trace_timeout_s": _SECONDS, "service_name": _TEXT},
    SecurityOptions: {"rate": _RATE, "max_in_flight": _COUNT_OR_NONE},
    JwtOptions: {"leeway_s": _SECONDS_OR_NONE, "name_claim": _TEXT, "scopes_claim": _TEXT, "models_claim": _TEXT},
    MonitoringOptions: {"reference_rows": _WINDOW, "window_rows": _WINDOW, "window_s": _SECONDS, "exported_features": _FEATURES},
    Limits: {**dict.fromkeys(("psi", "js", "ks", "missing", "out_of_range"), _LIMIT), "alpha": _CHANCE},
    RecordingOptions: {"sample": _SHARE, "slower_ms": _MILLISECONDS, "redact": _REDACTION, "keep": _KEPT, "subject": _SUBJECT},
    FeedbackOptions: {
        "keep_s": _LONG,
        "max_bytes": _COUNT_OR_NONE,
        "window_rows": _JUDGED,
        "window_s": _LONG,
        "classes": _DIFFERENT,
    },
    ModelOptions: MODEL_RULES,
    PadOptions: {"axis": COUNT},
}
"""The rule of each field that has one; for a table of free keys it holds for each value in it."""


def conflicts(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with values that are each fine on their own."""
    server = settings.server
    if server.request_timeout_s > server.max_request_timeout_s:
        yield (
            f"server.request_timeout_s ({server.request_timeout_s}) is above server.max_request_timeout_s "
            f"({server.max_request_timeout_s}); lower the first or raise the second"
        )
    yield from _shared_ports(server)
    yield from security_problems(settings.security)
    if settings.registry.signatures != "off" and not settings.registry.trusted_keys:
        yield (
            f'registry.signatures is "{settings.registry.signatures}", but registry.trusted_keys is empty; '
            "name the files of the public keys that versions are signed with"
        )
    for name in settings.models:
        if not is_model_name(name):
            yield f"models.{name!r} is no model's name; names have 1 to 128 letters, digits, '.', '_' or '-'"


def _shared_ports(server: ServerOptions) -> Iterator[str]:
    first: dict[tuple[str, int], str] = {}
    listeners = {"http_port": server.host, "grpc_port": server.host, "admin_port": server.admin_host}
    for key, host in listeners.items():
        port: int = getattr(server, key)
        other = first.setdefault((host, port), key)
        if port and other != key:
            yield f"server.{key} and server.{other} are both {port} on {host}; give each listener its own port"
