"""The end of a shadow's turn."""

from penstock.domain.model import ModelVersion
from penstock.inference.scrape import shadow_views
from penstock.inference.shadow_queue import HeldBytes, ShadowQueue
from penstock.inference.shadow_turn import ShadowTurn
from penstock.lifecycle.version import ServedVersion
from penstock.telemetry.shadowing import shadow_samples


def test_time_is_counted_for_the_version_that_ran() -> None:
    """An alias moves, and what its versions took before stays theirs."""
    queue = ShadowQueue("m", "challenger", HeldBytes(1 << 20))
    for number, took_ns in (("2", 5_000_000_000), ("3", 1_000_000_000), ("3", 500_000_000)):
        turn = ShadowTurn(queue, (), ServedVersion(ModelVersion("m", number)), None, None)  # type: ignore[arg-type]
        turn.took_ns = took_ns
        turn.over()

    class Shadows:
        books = (queue,)

    samples = shadow_samples(shadow_views(Shadows()))  # type: ignore[arg-type]
    assert samples["penstock_shadow_busy_seconds_total"] == [(["m", "2"], 5.0), (["m", "3"], 1.5)]
