"""The peers: how each is started, what it is asked with, and its settings in words."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from harness import CONNECTIONS
from peers.wires import FORM, LISTS, RAW, STACKED, V2_BINARY, V2_GRPC, V2_JSON, Format

HTTP_JSON, HTTP_BINARY, GRPC = "HTTP JSON", "HTTP binary", "gRPC"
V2_PATH: Final = "/v2/models/{model}/infer"


class Wire(NamedTuple):
    """Where a server takes one format; gRPC has no path."""

    format: Format
    path: str = ""


class Peer(NamedTuple):
    """A server that PyPI offers."""

    name: str
    """Of its package, and behind a dash of a variant."""
    title: str
    command: tuple[str, ...]
    """A program of the peer's environment and its arguments; {http}, {grpc}, {metrics}, {model}, {servers}, {home} are filled in."""
    wires: Mapping[str, Wire]
    settings: str
    wait_ms: int = 10
    environment: Mapping[str, str] = {}

    @property
    def package(self) -> str:
        """Return the name of its package, its requirements and its environment."""
        return self.name.partition("-")[0]


V2_WIRES: Final = {HTTP_JSON: Wire(V2_JSON, V2_PATH), HTTP_BINARY: Wire(V2_BINARY, V2_PATH), GRPC: Wire(V2_GRPC)}

MOSEC: Final = Peer(
    "mosec",
    "mosec",
    ("python", "{servers}/mosec_server.py", "--address", "127.0.0.1", "--port", "{http}", "--timeout", "120000", "--log-level", "warning"),
    {HTTP_JSON: Wire(LISTS, "/inference"), HTTP_BINARY: Wire(RAW, "/bytes")},
    "one worker, `max_batch_size=32`, `max_wait_time=10` ms (its default), JSON by its default",
)

# Its documentation leaves formats to its users: this is what one gets who does all that can be done.
MOSEC_ORJSON: Final = MOSEC._replace(
    name="mosec-orjson",
    title="mosec with orjson",
    wires={HTTP_JSON: MOSEC.wires[HTTP_JSON]},
    settings="the same, but for a `serialize` and a `deserialize` of our own by orjson",
    environment={"MOSEC_WITH_ORJSON": "1"},
)

LITSERVE: Final = Peer(
    "litserve",
    "LitServe",
    ("python", "{servers}/litserve_server.py"),
    {HTTP_JSON: Wire(LISTS, "/predict"), HTTP_BINARY: Wire(FORM, "/predict")},
    "one API server and one worker, `fast_queue=True`, `max_batch_size=32`, `batch_timeout=0.01`, no access log",
)

BENTOML: Final = Peer(
    "bentoml",
    "BentoML",
    ("bentoml", "serve", "bentoml_server:Service", "--working-dir", "{servers}", "--host", "127.0.0.1", "--port", "{http}"),
    {HTTP_JSON: Wire(STACKED, "/predict")},
    "one worker, `batchable=True`, `max_batch_size=32`, `max_latency_ms=60000` (its default: what it expects to take longer it refuses; "
    "how long it waits it learns), no access log; tensors as JSON only",
    60_000,
    {"BENTOML_DO_NOT_TRACK": "True"},
)

MLSERVER: Final = Peer(
    "mlserver",
    "MLServer",
    ("mlserver", "start", "."),
    {HTTP_JSON: Wire(V2_JSON, V2_PATH), GRPC: Wire(V2_GRPC)},
    "a runtime of our own (it has none for ONNX), `parallel_workers=0`, `max_batch_size=32`, `max_batch_time=0.01`, `debug=false`",
    environment={
        "MLSERVER_MODEL_NAME": "{model}",
        "MLSERVER_MODEL_IMPLEMENTATION": "mlserver_server.Runtime",
        "MLSERVER_MODEL_MAX_BATCH_SIZE": str(CONNECTIONS),
        "MLSERVER_MODEL_MAX_BATCH_TIME": "0.01",
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": "{http}",
        "MLSERVER_GRPC_PORT": "{grpc}",
        "MLSERVER_METRICS_PORT": "{metrics}",
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_DEBUG": "false",
    },
)

KSERVE: Final = Peer(
    "kserve",
    "KServe's server",
    ("python", "{servers}/kserve_server.py", "--configure_logging", "false"),
    V2_WIRES,
    "`workers=1`, no latency log, no access log; no batching (KServe leaves it to a sidecar in Go that is not on PyPI); it makes a list of "
    "numbers of a tensor that comes as bytes over HTTP",
)

RAY: Final = Peer(
    "ray",
    "Ray Serve",
    ("python", "{servers}/ray_server.py"),
    {HTTP_JSON: Wire(LISTS, "/"), HTTP_BINARY: Wire(RAW, "/"), GRPC: Wire(V2_GRPC)},
    "one replica, `serve.batch` with `max_batch_size=32` and `batch_wait_timeout_s=0.01`, `RAY_SERVE_THROUGHPUT_OPTIMIZED=1`, "
    "`RAY_SERVE_ENABLE_HA_PROXY=1`, no access log",
    environment={
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": "{home}",
    },
)

PEERS: Final = {peer.name: peer for peer in (MOSEC, MOSEC_ORJSON, LITSERVE, BENTOML, MLSERVER, KSERVE, RAY)}
