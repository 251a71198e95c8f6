"""Scenario files: what is served, who asks for what at the same time, and what has to hold."""

from pathlib import Path

import msgspec

from penstock.bench.arrivals import Constant, Load, Recorded, arrivals
from penstock.bench.plan import Payload, Plan, Protocol, Target
from penstock.bench.report.text import load_in_words
from penstock.bench.thresholds import Threshold, threshold

_BEFORE, _AT_THE_PEAK, _AFTER = 0.4, 0.2, 0.4


class Spike(msgspec.Struct, frozen=True, tag="spike"):
    """A constant rate that jumps to a peak for the middle fifth of the time, and back."""

    rate: float
    """Requests per second before and after."""
    peak: float

    def arrivals(self, duration_s: float) -> Recorded:
        """Return when requests are due."""
        offsets, start_s = list[float](), 0.0
        for rate, share in ((self.rate, _BEFORE), (self.peak, _AT_THE_PEAK), (self.rate, _AFTER)):
            offsets += [start_s + offset for offset in arrivals(Constant(rate), share * duration_s)]
            start_s += share * duration_s
        return Recorded(tuple(offsets))


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every part of a file is: its keys are these and no others."""


class Stream(Part, frozen=True, kw_only=True):
    """Requests of one kind."""

    model: str
    load: Load | Spike
    protocol: Protocol = Protocol.HTTP_JSON
    rows: int = 1
    shapes: dict[str, tuple[int, ...]] = {}
    """Whole shapes of inputs, by name, where the schema leaves more than the rows free."""
    payload: str | None = None
    """A file with requests of your own, as `penstock bench --payload` takes it; none: tensors are made up."""
    max_outstanding: int = 2000
    thresholds: tuple[str, ...]
    """What has to hold, as `penstock bench --threshold` takes it."""
    refusals: tuple[str, ...] | None = None
    """The failures that are allowed, such as `HTTP 429`; any other breaks the scenario. If left out, thresholds alone judge."""

    def __post_init__(self) -> None:
        """Refuse a threshold that says nothing; the reader of the file adds where it stands."""
        self.limits()

    def limits(self) -> tuple[Threshold, ...]:
        """Return the thresholds; raises `ValueError` for a text that is none."""
        return tuple(map(threshold, self.thresholds))

    @property
    def load_in_words(self) -> str:
        """The load as a table shows it."""
        if isinstance(self.load, Spike):
            return f"open loop, {self.load.rate:g} requests/s, at the peak {self.load.peak:g}"
        return load_in_words(self.load)

    def plan(self, http: str, grpc: str, *, warmup_s: float, duration_s: float) -> Plan:
        """Return the plan of this stream against a server with these two addresses."""
        load = self.load.arrivals(duration_s) if isinstance(self.load, Spike) else self.load
        return Plan(
            target=Target(grpc if self.protocol.is_grpc else http, self.model, protocol=self.protocol),
            load=load,
            payload=Payload(rows=self.rows, shapes=self.shapes, file=self.payload),
            duration_s=duration_s,
            warmup_s=warmup_s,
            processes=1,
            max_outstanding=self.max_outstanding,
        )


class Phase(Part, frozen=True, kw_only=True):
    """Streams that run at the same time; the next phase begins when the last of them has ended."""

    name: str
    duration_s: float
    warmup_s: float = 1.0
    slow_clients: int = 0
    """Connections beside the streams that send their requests byte by byte, or read no answer."""
    least_cut_off: int = 0
    """How many of them the server has to cut off at least; each comes again, and may be cut off again."""
    stream: tuple[Stream, ...]


class Scenario(Part, frozen=True, kw_only=True):
    """One file."""

    about: str
    """What it shows, in a sentence."""
    models: tuple[str, ...] = ()
    """Models that are made for it (see `scenario_server.py`); if there are none, the example registry is served."""
    settings: tuple[str, ...] = ()
    """Settings of the server, as `penstock serve --set` takes them."""
    phase: tuple[Phase, ...]


def read(path: Path) -> Scenario:
    """Return the scenario in a file. Raises `ValueError`, which names the file and the place in it."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Scenario)
    except (OSError, msgspec.MsgspecError) as error:
        raise ValueError(f"{path}: {error}") from error


def scaled(scenario: Scenario, factor: float) -> Scenario:
    """Return the scenario with every duration times the factor."""
    phases = (msgspec.structs.replace(phase, duration_s=phase.duration_s * factor) for phase in scenario.phase)
    return msgspec.structs.replace(scenario, phase=tuple(phases))
