"""What a run is to do."""

from enum import StrEnum

import msgspec

from penstock.bench.arrivals import Constant, Load


class Protocol(StrEnum):
    """How requests are put on the wire."""

    HTTP_JSON = "http-json"
    HTTP_BINARY = "http-binary"
    GRPC = "grpc"
    GRPC_STREAM = "grpc-stream"

    @property
    def is_grpc(self) -> bool:
        """Whether it runs over gRPC."""
        return self in {Protocol.GRPC, Protocol.GRPC_STREAM}


class Target(msgspec.Struct, frozen=True):
    """Whom to ask, and how."""

    address: str
    """Host and port."""
    model: str
    version: str = ""
    """A number or an alias; empty for the version that answers by default."""
    protocol: Protocol = Protocol.HTTP_JSON
    headers: tuple[tuple[str, str], ...] = ()
    """Headers, or metadata, of each request."""
    deadline_ms: int | None = None
    """How long each request may take, as the server is told."""
    pids: tuple[int, ...] = ()
    """Processes of the server, whose CPU time is counted."""

    @property
    def url(self) -> str:
        """The address with its scheme."""
        return f"{'grpc' if self.protocol.is_grpc else 'http'}://{self.address}"


class Payload(msgspec.Struct, frozen=True):
    """What requests carry: random tensors that fit the model's schema, or what a file holds."""

    rows: int = 1
    """The first dimension of inputs that leave it free."""
    shapes: dict[str, tuple[int, ...]] = {}
    """Whole shapes of inputs, by name, where the schema leaves more than the rows free."""
    seed: int = 0
    file: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    target: Target
    load: Load = Constant(100.0)
    payload: Payload = Payload()
    duration_s: float = 10.0
    """How long is measured."""
    warmup_s: float = 1.0
    """How long the load runs before that."""
    processes: int = 0
    """How many processes ask; 0 follows from the cores that may be used."""
    max_outstanding: int = 2000
    """Requests under way, at most, in an open loop; what is due beyond them is not sent, and the run is invalid."""
    rounds: int = 1
    """How many times the run is repeated."""

    @property
    def span_s(self) -> float:
        """Seconds from the first request to the last."""
        return self.warmup_s + self.duration_s


class CannotMeasure(Exception):
    """There is nothing to measure: nobody listens, the model does not exist, the payload does not fit."""
