"""Who was turned away at the doors, as metrics."""

from collections.abc import Mapping
from typing import Final

from penstock.telemetry.family import Family, Samples

ACCESS_FAMILIES: Final = (
    Family(
        "penstock_access_refused_total",
        "counter",
        ("listener", "protocol", "status", "reason"),
        "Calls turned away with UNAUTHENTICATED or PERMISSION_DENIED.",
    ),
)


def access_samples(refused: Mapping[tuple[str, str, str, str], int]) -> dict[str, Samples]:
    """Return the samples of each family, from counts by listener, protocol, status and reason."""
    return {"penstock_access_refused_total": [(list(key), count) for key, count in refused.items()]}
