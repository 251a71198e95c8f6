"""All that a user may say, as one value composed of each package's own options."""

from ipaddress import ip_address
from typing import Literal, NamedTuple

import msgspec

from penstock.grpc.options import GrpcOptions
from penstock.http.options import HttpOptions
from penstock.inference.options import ShadowOptions
from penstock.lifecycle.options import ModelOptions
from penstock.payloads.options import PayloadOptions
from penstock.registry.options import RegistryOptions
from penstock.security.options import SecurityOptions
from penstock.telemetry.options import TelemetryOptions


class ServerOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[server]`."""

    host: str = "127.0.0.1"
    """The address that the HTTP and the gRPC listener bind."""

    http_port: int = 8080
    """The port of the HTTP listener; 0 picks a free one."""

    grpc_port: int = 8081
    """The port of the gRPC listener; 0 picks a free one."""

    admin_host: str = "127.0.0.1"
    """The address that the admin listener binds; `--host` leaves it alone."""

    admin_port: int = 8082
    """The port of the admin listener; 0 picks a free one."""

    state_dir: str = ".penstock"
    """Where the admin token and other state are kept; a relative path starts at the working directory."""

    request_timeout_s: float = 30.0
    """Seconds after which a request without a deadline of its own expires."""

    max_request_timeout_s: float = 300.0
    """The most seconds that a caller's own deadline may ask for."""

    drain_s: float = 30.0
    """Seconds that requests under way have to finish after SIGTERM; 0 waits for none."""

    announce_s: float | Literal["auto"] = "auto"
    """Seconds between "not ready" and the drain, for balancers to notice. "auto": 0 on loopback, 5 elsewhere."""

    shed_memory_above: float = 0.9
    """The part of the memory that the control group allows, of which more in use has predictions refused; 1 for never."""

    allow_unauthenticated: bool = False
    """Whether predictions may be served beyond loopback to callers that show no key."""

    def announcement_s(self) -> float:
        """Return the seconds that `announce_s` stands for, "auto" resolved."""
        if self.announce_s != "auto":
            return self.announce_s
        return 0.0 if is_loopback(self.host) else 5.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that is set; each package is handed only its own section."""

    server: ServerOptions = msgspec.field(default_factory=ServerOptions)
    """The listeners, and the limits in time that all of them share."""

    http: HttpOptions = msgspec.field(default_factory=HttpOptions)
    """The HTTP listeners."""

    grpc: GrpcOptions = msgspec.field(default_factory=GrpcOptions)
    """The gRPC listener."""

    registry: RegistryOptions = msgspec.field(default_factory=RegistryOptions)
    """Where the models come from."""

    defaults: ModelOptions = msgspec.field(default_factory=ModelOptions)
    """What holds for every model that does not say otherwise."""

    # Kept raw: a model's `model.toml` goes between `defaults` and these, so what was left out here must stay left out.
    models: dict[str, dict[str, object]] = msgspec.field(default_factory=dict)
    """What holds for one model: any key of `[defaults]`. It wins over the model's own `model.toml`."""

    shadows: ShadowOptions = msgspec.field(default_factory=ShadowOptions)
    """What shadows may use, and how their answers are compared with the primary's."""

    payloads: PayloadOptions = msgspec.field(default_factory=PayloadOptions)
    """Where recorded payloads go, and what they may use."""

    security: SecurityOptions = msgspec.field(default_factory=SecurityOptions)
    """Who may come in."""

    telemetry: TelemetryOptions = msgspec.field(default_factory=TelemetryOptions)
    """The logs, and traces."""

    @property
    def payload_sinks(self) -> frozenset[str]:
        """The sinks of all models that the settings say anything of recording, or of feedback; a `model.toml` may name more."""
        usual = self.defaults.payloads.sink or self.payloads.sink
        tables = [options["payloads"] for options in self.models.values() if "payloads" in options]
        named = {str(table.get("sink") or usual) for table in tables if isinstance(table, dict)}
        feedback = self.defaults.feedback.enabled or any("feedback" in options for options in self.models.values())
        return frozenset(named | ({usual} if self.defaults.payloads.records else set()) | ({"jsonl"} if feedback else set()))


class WantedModel(NamedTuple):
    """One model that `--model` asked for: the version or alias that it named, or None for the usual ones."""

    name: str
    reference: str | None


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a listener bound to `host`; a name other than localhost is not."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
