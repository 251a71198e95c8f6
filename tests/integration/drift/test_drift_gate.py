"""The drift gate of a rollout on a real server: what the canary answers, beside what the stable version does."""

from typing import Any

import pytest
from drift_site import Site, rows_of

GATES = {"min_requests": 20, "max_bad_share": 0.9, "latency": None, "errors": None, "refusals": None, "rejections": None}
PLAN = {"canary": "challenger", "steps": [{"weight": 50, "hold_s": 0}], "gates": GATES | {"drift": {"max": 0.2, "looks": 2}}}


@pytest.mark.parametrize(("model", "phase"), [("shifted", "ROLLED_BACK"), ("same", "PROMOTED")])
def test_canary_whose_answers_lie_elsewhere_goes_back_and_an_equal_one_does_not(site: Site, model: str, phase: str) -> None:
    """Both are asked the same, and neither has a reference; the gate says what it saw."""
    begun = site.admin.post(f"/admin/models/{model}/rollout", json=PLAN)
    assert begun.status_code == 201, begun.text
    seeds = iter(range(100, 10_000))

    def look() -> dict[str, Any]:
        site.send(model, rows_of(next(seeds), 1000))
        return dict(site.admin.get(f"/admin/models/{model}/rollout").json())

    ended = site.until(look, lambda told: told["phase"] in {"ROLLED_BACK", "PROMOTED"} and not told["pending"])

    gate = next(gate for gate in ended["gates"] if gate["gate"] == "drift")
    assert ended["phase"] == phase, ended
    assert (gate["finding"], gate["value"] > 0.2) == (("broken", True) if phase == "ROLLED_BACK" else ("passed", False))
    assert site.admin.get(f"/admin/models/{model}").json()["aliases"]["champion"] == ("1" if phase == "ROLLED_BACK" else "2")
