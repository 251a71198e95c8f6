"""A rollout whose canary is a shadow too."""

from pathlib import Path
from types import ModuleType

from rollout_site import QUICK, STEPS, Site

GATES = QUICK | {"disagreement": {"max": 0.05}}


def test_canary_that_answers_otherwise_as_a_shadow_goes_back(tmp_path: Path, models: ModuleType, server_process: ModuleType) -> None:
    """Although it answers everything; without a shadow of it the gate could never be passed."""
    models.write_tagged(tmp_path / "registry", 1)
    models.write_tagged(tmp_path / "registry", 2)
    (tmp_path / "registry" / "tagged" / "aliases.json").write_text('{"champion": "1", "challenger": "2"}')
    with server_process.running(tmp_path / "registry", tmp_path, "registry.poll_s=0") as server, Site(server) as site:
        assert "needs a shadow of version 2" in site.start("tagged", gates=GATES).json()["error"]
        route = {"stable": "champion", "shadows": [{"version": "2", "sample": 1.0}]}
        assert site.admin.put("/admin/models/tagged/route", json=route).status_code == 200
        assert site.start("tagged", gates=GATES, steps=[STEPS[0] | {"hold_s": 600}]).status_code == 201

        ended = site.until("tagged", "ROLLED_BACK", meanwhile=lambda: [ask(site) for _ in range(20)])

        assert ended["why"].startswith("disagreement: ")
        assert site.route("tagged")["canaries"] == []


def ask(site: Site) -> None:
    """Ask for what the versions answer differently."""
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [1, 1, 1, 1]}
    assert site.client.post("/v2/models/tagged/infer", json={"inputs": [tensor]}).status_code == 200
