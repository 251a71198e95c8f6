"""Every key: misspelt, and with a value that is out of range."""

from collections.abc import Callable

import pytest

from penstock.config.checks import RULES
from penstock.config.load import Loaded, effective
from penstock.config.schema import every_key, node_at
from penstock.config.settings import Settings

Load = Callable[..., Loaded]
Problems = Callable[..., tuple[str, ...]]

MODEL_KEYS = [(("models", "m", key[1])) for key in every_key() if key[0] == "defaults" and len(key) > 1]
KEYS = [key for key in every_key() if len(key) > 1] + MODEL_KEYS
SECTIONS = [key for key in every_key() if len(key) == 1]
SOURCES = ["file", "environment", "flag"]
FIRST_KEYS = {key[:-1]: key for key in reversed(KEYS)}.values()
"""One of each section."""

OUT_OF_RANGE: dict[str, list[object]] = {
    "server.host": ["", " ", 5],
    "server.http_port": [-1, 65_536, 80.5, True],
    "server.grpc_port": [-1, 65_536],
    "server.admin_host": [""],
    "server.admin_port": [-1, 65_536],
    "server.state_dir": [""],
    "server.request_timeout_s": [0, -1, float("inf"), float("nan")],
    "server.max_request_timeout_s": [0, -1, float("inf")],
    "server.drain_s": [-1, float("inf"), float("nan")],
    "server.announce_s": [-1, float("inf"), "soon"],
    "server.shed_memory_above": [0, -1, 1.5, float("nan")],
    "server.allow_unauthenticated": [1, "yes"],
    "security.keys_file": [1, ["a"]],
    "security.jwt": [{"algorithms": ["HS256"]}, {"algorithms": ["none"]}, {"leeway_s": -1}, {"name_claim": ""}, "jwks.json"],
    "security.tls": [{"listeners": ["metrics"]}, {"certificate": 1}, "cert.pem"],
    "security.rate": [-1, float("inf"), "many"],
    "security.max_in_flight": [-1, 1.5],
    "security.open": ["metrics", ["admin"]],
    "http.max_body_bytes": [0, -1, 1.5],
    "http.compress_above_bytes": [-1],
    "http.allowed_hosts": ["a", [""], [1]],
    "http.keep_alive_s": [0, -1, float("inf")],
    "http.head_timeout_s": [0, -1, float("inf")],
    "http.body_timeout_s": [0, -1, float("inf")],
    "http.min_body_bytes_per_s": [0, -1],
    "http.write_timeout_s": [0, -1, float("inf")],
    "http.max_request_line_bytes": [0, -1],
    "http.max_header_bytes": [0, -1],
    "http.max_head_bytes": [0, -1],
    "http.max_headers": [0, -1],
    "http.max_connections": [0, -1],
    "http.max_pipelined": [0, -1],
    "grpc.max_message_bytes": [0, 2**31],
    "grpc.max_streams": [0, 2**31],
    "grpc.reflection": ["no"],
    "grpc.transport": ["", "http2", 2],
    "grpc.max_metadata_bytes": [0, 2**31],
    "grpc.max_connections": [0, -1],
    "grpc.handshake_timeout_s": [0, -1, float("inf")],
    "grpc.message_timeout_s": [0, -1, float("inf")],
    "grpc.min_message_bytes_per_s": [0, -1],
    "grpc.write_timeout_s": [0, -1, float("inf")],
    "grpc.keepalive_s": [0, -1, float("inf")],
    "grpc.keepalive_timeout_s": [0, -1, float("inf")],
    "grpc.max_connection_age_s": [-1, float("inf")],
    "grpc.max_connection_age_grace_s": [-1, float("inf")],
    "registry.uri": ["", 5],
    "registry.poll_s": [-1, float("inf"), float("nan")],
    "registry.require_manifest": ["no"],
    "registry.signatures": ["on", True],
    "registry.trusted_keys": ["key.pem", [""], [1]],
    "registry.cache_dir": [5],
    "registry.cache_bytes": [-1, "20 GB"],
    "registry.webhook_secret": [5, ["a"]],
    "shadows.device_share": [-0.1, 1.1, "half"],
    "shadows.max_loop_load": [-0.1, 1.1],
    "shadows.max_bytes": [-1, 1.5],
    "shadows.run_limit_s": [0, -1, float("inf")],
    "shadows.noise_sample": [-0.1, 1.1, float("nan")],
    "shadows.rtol": [-0.1, float("inf"), float("nan")],
    "shadows.atol": [-0.1, float("inf")],
    "shadows.examples": [-1, 1.5],
    "shadows.show_values": ["no"],
    "payloads.dir": [5],
    "payloads.sink": ["csv", 1],
    "payloads.object_store": [1, {"url": "bucket"}, {"url": "s3://key:secret@bucket"}, {"format": "csv"}, {"keep_uploaded": 1}],
    "payloads.kafka": [1, {"url": "kafka://broker:9092"}, {"url": "broker:9092/topic"}, {"options": {"linger.ms": 5}}],
    "payloads.cloudevents": [1, {"url": "collector:80"}, {"mode": "both"}, {"namespace": ""}, {"source": 1}],
    "payloads.timeout_s": [0, -1, float("inf")],
    "payloads.buffer_bytes": [0, -1, 1.5],
    "payloads.max_bytes": [-1, 1.5],
    "payloads.flush_s": [0, -1, float("inf")],
    "payloads.rotate_bytes": [0, -1],
    "payloads.rotate_s": [0, float("nan")],
    "payloads.keep_days": [0, -1, float("inf")],
    "payloads.keep_bytes": [-1, "10 GB"],
    "payloads.headers": ["x-tenant", [""]],
    "telemetry.access_log": ["some", 1],
    "telemetry.log_callers": ["names", 1],
    "telemetry.log_format": ["xml"],
    "telemetry.log_level": ["loud"],
    "telemetry.otlp_endpoint": ["collector:4318", 5],
    "telemetry.trace_ratio": [-0.1, 1.1, float("nan")],
    "telemetry.trace_timeout_s": [0, -1, float("inf")],
    "telemetry.service_name": ["", " "],
    "defaults.versions": ["latest", "latest:0", "latest:01", "latest:-1", "3", [], [0], ["01"], ["v3"], [True]],
    "defaults.keep_warm_s": [-1, "long", 86_401],
    "defaults.lowest_version": [-1, 1.5, "v2"],
    "defaults.slo_ms": [0, -1, float("inf"), float("nan"), "fast"],
    "defaults.batching": ["on"],
    "defaults.max_batch_rows": [0, -1, 1.5],
    "defaults.max_batch_elements": [0, -1, "many"],
    "defaults.route": [
        1,
        {"stable": 1},
        {"stable": "1.5"},
        {"canaries": [{"name": "b", "version": "2", "weight": 101.0}]},
        {"stabel": "1"},
    ],
    "defaults.pad": [1, "tokens", {"tokens": 1}, {"tokens": {"axis": 0}}, {"tokens": {"axis": 1, "value": []}}],
    "defaults.monitoring": [
        {"drift": "always"},
        {"window_rows": 99},
        {"reference_rows": 0},
        {"window_s": 0},
        {"inputs": "X"},
        {"exported_features": 257},
        {"limits": {"psi": 0}},
        {"limits": {"alpha": 0.5}},
        {"limits": {"pis": 0.1}},
    ],
    "defaults.feedback": [
        "on",
        {"enabld": True},
        {"keep_s": 0},
        {"keep_s": float("nan")},
        {"window_s": 1e9},
        {"max_bytes": -1},
        {"window_rows": 0},
        {"kind": "texts"},
        {"classes": ["a", "a"]},
    ],
    "defaults.columns": [1, ["age"], {"X": "age"}, {"X": []}, {"X": ["age", "age"]}, {"X": [""]}],
    "defaults.payloads": [
        1,
        {"sample": 1.1},
        {"sample": float("nan")},
        {"keep_errors": "yes"},
        {"slower_ms": -1.0},
        {"redact": {"x": "hsah"}},
        {"redact": {"x": 1}},
        {"sink": "csv"},
        {"smaple": 1.0},
        {"keep": [{"output": "y"}]},
        {"keep": [{"above": 1.0}]},
        {"keep": [{"output": "y", "above": 2.0, "below": 1.0}]},
        {"keep": [{"output": "y", "above": float("inf")}]},
        {"keep": [{"output": "y", "above": 1.0, "confidence_below": 0.5}]},
        {"keep_disagreements": "yes"},
        {"subject": {}},
        {"subject": {"header": "x-user-id", "input": "user"}},
        {"subject": "user"},
    ],
    "defaults.devices": ["cpu", [], ["cpu", "cpu"], ["gpu"], ["cuda"], ["cuda:x"], ["cpu:0"], ["cuda:0\n"]],
    "defaults.spill": ["no"],
    "defaults.lanes": [0, "many"],
    "defaults.threads": [0, -1],
    "defaults.queue_rows": [0],
    "defaults.queue_bytes": [0],
    "defaults.slab_bytes": [0, "much"],
    "defaults.isolation": ["container", True],
    "defaults.hang_s": [0, -1, float("inf"), "auto"],
    "defaults.memory_bytes": [0, -1, "much"],
    "defaults.warmup": ["on"],
    "defaults.require_placement": [{"cuda": 1.5}, {"cuda": -0.1}, {"rocm": 1}, 0.95],
    "defaults.session_options": [{"a": 1.5}, {"a": [1]}, "fast"],
    "defaults.provider_options": [{"cuda": 1}, {"rocm": {}}, {"cuda": {"a": 1.5}}],
}


def _flag(key: tuple[str, ...]) -> str:
    return ".".join(key)


def _given(source: str, key: tuple[str, ...]) -> tuple[str, dict[str, str], dict[str, object]]:
    """Set a key to 1 by the source."""
    file = f"{_flag(key)} = 1" if source == "file" else ""
    environ = {"PENSTOCK_" + "__".join(key).upper(): "1"} if source == "environment" else {}
    return file, environ, {_flag(key): 1} if source == "flag" else {}


@pytest.mark.parametrize(
    ("key", "source"),
    [
        pytest.param(key, source, id=f"{_flag(key)}-{source}", marks=() if source == "file" or key in FIRST_KEYS else pytest.mark.slow)
        for key in KEYS
        for source in SOURCES
    ],
)
def test_misspelt_key_is_refused_and_the_right_one_named(problems: Problems, key: tuple[str, ...], source: str) -> None:
    """Each key with a letter too many is unknown, whatever the source, and leads back to the key."""
    toml, environ, flags = _given(source, (*key[:-1], f"{key[-1]}{key[-1][-1]}"))

    (problem,) = problems(toml, environ, **flags)

    assert f"the nearest valid key is {_flag(key)}" in problem


@pytest.mark.parametrize("section", SECTIONS, ids=_flag)
def test_misspelt_section_is_refused_and_the_right_one_named(problems: Problems, section: tuple[str, ...]) -> None:
    """Each section with its last letter missing is unknown and leads back to the section."""
    (problem,) = problems(f"[{section[0][:-1]}]\nx = 1\ny = 2")

    assert problem.endswith(f"unknown key {section[0][:-1]}; the nearest valid key is {section[0]}")


@pytest.mark.parametrize(
    ("key", "value"),
    [pytest.param(key, value, id=f"{key}={value}") for key in OUT_OF_RANGE for value in OUT_OF_RANGE[key]],
)
def test_value_out_of_range_is_refused_with_its_key(problems: Problems, key: str, value: object) -> None:
    """Each value that a key cannot have is told with the key, and the same in the table of a model."""
    told = problems("", {}, **{key: value})
    told += problems("", {}, **{key.replace("defaults", "models.m"): value})

    assert key in told[0]
    assert key.replace("defaults", "models.m") in told[1]


def test_every_key_is_tried_out_of_range() -> None:
    """The table above leaves no key out."""
    assert set(OUT_OF_RANGE) == {_flag(key) for key in every_key() if len(key) > 1}


def test_every_rule_is_about_an_existing_key() -> None:
    """No rule is left behind by a key that went away."""
    for struct, rules in RULES.items():
        assert rules.keys() <= set(struct.__struct_fields__)


def test_every_default_keeps_its_own_rule(loaded: Load) -> None:
    """A default could also be written down."""
    for key, value, _ in effective(loaded()):
        node = node_at(key.split("."))

        assert node is not None
        assert node.is_table or node.read(value) == value


def test_every_default_can_be_given_as_a_flag(loaded: Load) -> None:
    """To set every key to its default changes nothing."""
    flags = {key: value for key, value, _ in effective(loaded())}

    assert loaded("", {}, **flags).settings == Settings()
