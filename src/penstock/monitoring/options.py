"""What a user may say about watching a model for drift."""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

DAY_S: Final = 86_400
MOST_FEATURES: Final = 256
"""Features beyond are not watched, so that nobody's model makes series without end."""
LEAST_ROWS: Final = 100
MOST_ROWS: Final = 100_000
_MOST_LIMIT: Final = (100.0, 0.1)
"""Of a measure, so high that nothing reaches it; of alpha."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a difference must be to matter, however sure one is of it; and how often a window may be wrong."""

    psi: float = 0.1
    """Population stability index: by convention, below is stable and 0.2 asks for action."""
    js: float = 0.1
    """Jensen-Shannon distance, the root of the divergence in bits: 0 equal, 1 disjoint."""
    ks: float = 0.05
    """Kolmogorov-Smirnov: the largest difference of the shares below a value."""
    missing: float = 0.01
    """Difference of the shares of rows without a value."""
    out_of_range: float = 0.01
    """Share of values outside of what the reference has seen."""
    alpha: float = 0.000001
    """Probability of a false alarm in a window. A busy model has ten thousand windows a day."""


class MonitoringOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is watched of one model: the table `monitoring` of a model."""

    drift: Literal["published", "live", "off"] = "published"
    """What inputs and outputs are compared with. "published": the reference that a version was published with; a version without one is
    not watched. "live": that one, else the first rows that the version answers. "off": nothing is watched."""

    inputs: list[str] = msgspec.field(default_factory=lambda: ["*"])
    """Which inputs are watched; "*" stands for all that `payloads.redact` leaves alone. A redacted input of numbers is watched if it is
    named here, one of text never."""

    outputs: list[str] = msgspec.field(default_factory=lambda: ["*"])
    """Which outputs are watched, in the same way."""

    reference_rows: int = 2000
    """With "live": how many rows are the reference. They are kept as counts in `server.state_dir`, for this version's files."""

    window_rows: int = 1000
    """A window is judged when it has so many rows."""

    window_s: float = 3600.0
    """A window that has 200 rows is judged after so many seconds, too."""

    limits: Limits = Limits()
    """What counts as drift: {psi = 0.1, js = 0.1, ks = 0.05, missing = 0.01, out_of_range = 0.01, alpha = 0.000001}. The first five
    are what a measure must exceed to matter, the last is how often a window of an unchanged model may raise an alarm."""

    exported_features: int = 64
    """How many features, outputs first, have metrics of their own. The admin listener tells of all."""


def monitoring_problems(options: MonitoringOptions) -> Iterator[str]:
    """Yield what makes no sense in the options."""
    for key, least, most in (("reference_rows", LEAST_ROWS, MOST_ROWS), ("window_rows", LEAST_ROWS, MOST_ROWS)):
        if not least <= getattr(options, key) <= most:
            yield f"{key} is {getattr(options, key)}; it is a number of rows from {least} to {most}"
    if not 0 < options.window_s <= DAY_S:
        yield f"window_s is {options.window_s:g}; it is a number of seconds above 0, up to a day"
    if not 0 <= options.exported_features <= MOST_FEATURES:
        yield f"exported_features is {options.exported_features}; it is a number from 0 to {MOST_FEATURES}"
    for key, limit in msgspec.structs.asdict(options.limits).items():
        if not 0 < limit <= _MOST_LIMIT[key == "alpha"]:
            yield f"limits.{key} is {limit:g}; it is a number above 0, up to {_MOST_LIMIT[key == 'alpha']:g}"
