"""What a look at a bucket costs beside the listing itself."""

import sys
from datetime import UTC, datetime

from penstock.registry import object_store
from penstock.registry.model_folder import listing_of
from penstock.registry.object_store_bucket import StoredObject


def calls_for(versions: int) -> int:
    """Return how many functions a look calls for a model of so many versions."""
    files = (".claim", "manifest.json", "model.onnx")
    objects = [StoredObject(f"m/{number}/{file}", 10, datetime.now(UTC), "tag") for number in range(1, versions + 1) for file in files]
    calls = 0

    def count(_frame: object, event: str, _what: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        folder = object_store._ObjectFolder("m", objects, lambda _: "")
        listing = listing_of(folder, [])
    finally:
        sys.setprofile(None)
    assert len(listing.versions) == versions
    return calls


def test_look_costs_each_version_the_same() -> None:
    """However many a model has: the look is made every few seconds, beside what serves."""
    assert calls_for(400) < 5 * calls_for(100)
