"""A server that dies in the middle of a rollout."""

from pathlib import Path
from types import ModuleType

from rollout_site import Site


def test_rollout_goes_on_where_it_was_after_a_kill(tmp_path: Path, models: ModuleType, server_process: ModuleType) -> None:
    """In the same step, with the hold time that was served, and with gates that judge afresh; then it can still go back."""
    models.write_lookup(tmp_path / "registry", "lookup")
    with server_process.running(tmp_path / "registry", tmp_path, "registry.poll_s=0") as server, Site(server) as site:
        site.start("lookup", steps=[{"weight": 20, "hold_s": 0}, {"weight": 40, "hold_s": 600}])
        while (before := site.state("lookup"))["step"]["number"] < 2 or before["step"]["served_s"] < 2:
            site.ask("lookup", 1)
        server.process.kill()
        server.process.wait()

    (tmp_path / "ready.json").unlink(missing_ok=True)
    with server_process.running(tmp_path / "registry", tmp_path, "registry.poll_s=0") as server, Site(server) as site:
        server_process.wait_for(lambda: site.admin.get("/admin/models/lookup/rollout").status_code == 200, 20)
        after = site.state("lookup")

        assert (after["phase"], after["step"]["number"], after["step"]["weight"]) == ("HOLDING", 2, 40)
        assert after["step"]["served_s"] >= 0.9  # all but the last look, which may not have been on the disk
        assert after["judged_since"] > before["judged_since"]
        assert "the numbers of the gates begin anew" in site.events("lookup")[0]["why"]
        assert [canary["weight"] for canary in site.route("lookup")["canaries"]] == [40]

        site.until("lookup", "ROLLED_BACK", meanwhile=lambda: [site.ask("lookup", 5) for _ in range(20)])
        assert site.ask("lookup", 5) == (200, "1", "stable")
