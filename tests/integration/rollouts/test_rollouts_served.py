"""Rollouts on a real server, under real requests."""

import json
import subprocess
import sys

from rollout_site import Site


def test_good_canary_becomes_the_stable_version(site: Site) -> None:
    """Step by step; then the alias names it, and the model has no route, as before. One step leads back."""
    begun = site.start("good")
    assert begun.status_code == 201, begun.text
    assert (begun.json()["phase"], begun.json()["step"]["weight"], begun.json()["canary"]) == ("HOLDING", 30, "2")

    ended = site.until("good", "PROMOTED", "ROLLED_BACK", meanwhile=lambda: [site.ask("good", 1) for _ in range(20)])

    assert ended["phase"] == "PROMOTED", ended
    assert site.report("good")["aliases"]["champion"] == "2"
    assert site.admin.get("/admin/models/good/route").status_code == 404  # as before
    assert site.ask("good", 1) == (200, "2", "stable")
    told = [(event["who"], event["after"]) for event in site.events("good")]
    assert told == [("rollout", after) for after in ("HOLDING at 30 %", "HOLDING at 60 %", "PROMOTING at 60 %", "PROMOTED")]
    assert all(event["why"] for event in site.events("good"))
    moved = [event["who"] for event in site.report("good")["events"] if event["what"] == "alias champion"]
    assert moved[-1] == "rollout"  # not whoever has begun it: nobody has asked for that now
    assert site.admin.post("/admin/models/good/rollback").status_code == 200
    assert site.ask("good", 1) == (200, "1", "stable")


def test_canary_that_fails_goes_back_at_once_and_says_why(site: Site) -> None:
    """Long before its hold time is over; the alias has not moved."""
    assert site.start("bad", steps=[{"weight": 30, "hold_s": 3600}]).status_code == 201

    ended = site.until("bad", "ROLLED_BACK", meanwhile=lambda: [site.ask("bad", 5) for _ in range(20)])

    assert "errors: " in ended["why"]
    assert "requests of the canary" in ended["why"]
    assert {gate["gate"]: gate["finding"] for gate in ended["gates"]}["errors"] == "broken"
    assert site.report("bad")["aliases"]["champion"] == "1"
    assert {site.ask("bad", 5) for _ in range(40)} == {(200, "1", "stable")}
    assert site.events("bad")[-1]["after"] == "ROLLED_BACK"
    assert site.events("bad")[-1]["why"] == ended["why"]


def test_too_little_traffic_holds(site: Site) -> None:
    """Neither a pass nor a failure."""
    site.start("starved", steps=[{"weight": 50, "hold_s": 0}])

    waiting = site.until("starved", "WAITING")

    assert waiting["why"] == "the canary has ended 0 of at least 20 requests in this step"
    assert site.report("starved")["aliases"]["champion"] == "1"


def test_rollout_is_paused_resumed_and_aborted(site: Site) -> None:
    """Time stands still while it is paused; an abort takes all traffic back."""
    assert site.start("held", steps=[{"weight": 50, "hold_s": 600}]).status_code == 201
    assert site.start("held").status_code == 409

    paused = site.order("held", "pause").json()
    assert paused["phase"] == "PAUSED"
    assert site.order("held", "pause").status_code == 200
    assert site.state("held")["step"]["served_s"] == paused["step"]["served_s"]
    assert {arm for _, _, arm in (site.ask("held", 1) for _ in range(60))} == {"stable", "challenger"}
    assert site.order("held", "resume").json()["phase"] == "HOLDING"

    aborted = site.admin.delete("/admin/models/held/rollout")

    assert (aborted.status_code, aborted.json()["phase"]) == (200, "ABORTED")
    assert {site.ask("held", 1) for _ in range(40)} == {(200, "1", "stable")}
    assert site.admin.delete("/admin/models/held/rollout").status_code == 409


def test_somebody_who_changes_the_route_stops_the_rollout(site: Site) -> None:
    """And what they did stays."""
    site.start("held", steps=[{"weight": 50, "hold_s": 600}])
    theirs = {"stable": "champion", "canaries": [{"name": "mine", "version": "2", "weight": 7}]}
    assert site.admin.put("/admin/models/held/route", json=theirs).status_code == 200

    stopped = site.until("held", "STOPPED")

    assert "somebody has changed the route" in stopped["why"]
    assert site.route("held")["canaries"] == theirs["canaries"]


def test_promotion_and_rollback_on_request_are_orders_to_the_rollout(site: Site) -> None:
    """It ends as they say, in its state and in its events."""
    site.start("ordered", steps=[{"weight": 50, "hold_s": 600}])
    back = site.admin.post("/admin/models/ordered/rollback").json()
    aborted = site.state("ordered")
    assert (back["stable_version"], back["route"]) == ("1", None)
    assert (aborted["phase"], aborted["why"]) == ("ABORTED", "somebody asked for a rollback")

    site.start("ordered", steps=[{"weight": 50, "hold_s": 600}])
    promoted = site.admin.post("/admin/models/ordered/promote").json()

    assert (promoted["stable_version"], promoted["route"]) == ("2", None)
    assert site.state("ordered")["phase"] == "PROMOTED"
    assert [event["after"] for event in site.events("ordered")][-2:] == ["PROMOTING at 50 %", "PROMOTED"]
    assert site.admin.post("/admin/models/ordered/rollback").json()["stable_version"] == "1"


def test_what_cannot_be_started_is_refused_with_the_reason(site: Site) -> None:
    """Nothing has changed then."""
    bad_plan = site.start("refused", steps=[{"weight": 200}, {"wait": 5}], gates={"latency": {"p99": 3}})
    assert bad_plan.status_code == 400
    for part in ("steps[0].weight", "steps[1].wait", "steps[1].weight is missing", "gates.latency.p99"):
        assert part in bad_plan.json()["error"]

    assert site.start("refused", canary="nobody").status_code == 404
    assert site.start("refused", canary="champion").status_code == 409
    assert site.admin.get("/admin/models/refused/rollout").status_code == 404
    assert site.admin.get("/admin/models/unknown/rollout").status_code == 404
    assert site.admin.post("/admin/models/refused/rollout", json={}, headers={"authorization": ""}).status_code == 401
    assert site.events("refused") == []


def penstock(site: Site, *arguments: str, group: str = "rollout") -> "subprocess.CompletedProcess[str]":
    """Run `penstock traffic rollout`, or another command of the group."""
    command = [sys.executable, "-m", "penstock", "traffic", group, *arguments]
    command += ["--admin", f"http://{site.server.admin}", "--set", f"server.state_dir={site.server.log.parent / 'state'}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_command_line_starts_shows_and_aborts(site: Site) -> None:
    """With text for people and JSON for machines; a refusal is exit code 1."""
    started = penstock(site, "start", "shown", "challenger", "--steps", "5:600,50:600")
    assert started.returncode == 0, started.stderr
    assert "HOLDING at 5 %, step 1 of 2" in started.stdout

    shown = json.loads(penstock(site, "show", "shown", "--json").stdout)
    assert [step["weight"] for step in shown["plan"]["steps"]] == [5, 50]
    assert penstock(site, "start", "shown", "challenger").returncode == 1
    watched = penstock(site, "shown", "--watch", "--count", "1", "--every", "0.1", group="show").stdout
    for said in ("ARM ", "P99", "challenger  2  ", "HOLDING at 5 %, step 1 of 2", "gate ", "errors ", "rejections "):
        assert said in watched, watched
    assert json.loads(penstock(site, "shown", "--json", group="show").stdout)["rollout"]["phase"] == "HOLDING"
    assert "PAUSED" in penstock(site, "pause", "shown").stdout
    assert "HOLDING" in penstock(site, "resume", "shown").stdout
    assert "ABORTED" in penstock(site, "abort", "shown").stdout
    watched = penstock(site, "show", "shown", "--watch", "--json")
    assert (watched.returncode, json.loads(watched.stdout)["phase"]) == (1, "ABORTED")
    assert penstock(site, "show", "nobody").returncode == 1
