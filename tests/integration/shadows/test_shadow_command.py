"""`penstock traffic shadows` asks a running server."""

import json

import numpy as np
import pytest
from click.testing import CliRunner, Result
from shadowed import Shadowed

from penstock.cli.traffic_shadows import shadows


def run(shadowed: Shadowed, *arguments: str) -> Result:
    """Run the command as somebody on the server's machine would."""
    serving = shadowed.serving
    place = ["--admin", serving.addresses["admin"], "--set", f"server.state_dir={serving._state}"]
    return CliRunner().invoke(shadows, [*arguments, *place])


@pytest.fixture(name="told", scope="module", params=["agreeing", "differing", "failing"])
def _told(shadowed: Shadowed, request: pytest.FixtureRequest) -> tuple[str, str]:
    """A model with a shadow that has followed some requests, and what is to be read of it."""
    model = f"told_{request.param}"
    shadowed.route(model, ("2", 1.0))
    source = np.random.default_rng(4)
    for number in range(120):
        shadowed.ask_http(model, source.random((1, 4), np.float32) + (500 if number == 7 else 0), f"id-{number}")
    shadowed.settled(model, [120])
    return model, {"agreeing": "agrees", "differing": "disagrees", "failing": "the model failed on this input"}[request.param]


def test_table_says_what_the_shadow_does(shadowed: Shadowed, told: tuple[str, str]) -> None:
    """One row for each comparison, and below it what is remarkable."""
    model, words = told

    shown = run(shadowed, model)

    assert (shown.exit_code, words in shown.output) == (0, True), shown.output
    header, row, *_ = shown.output.splitlines()
    assert header.split()[:5] == ["SHADOW", "SAMPLE", "PRIMARY", "VERDICT", "REQUESTS"]
    assert row.split()[:3] == ["2", "100", "%"]
    if words == "disagrees":
        assert "2 beside 1 differs by" in shown.output
        assert "request id-7, output Y differs by" in shown.output


def test_check_leaves_with_1_unless_the_shadow_is_good(shadowed: Shadowed, told: tuple[str, str]) -> None:
    """A pipeline can ask before it promotes; with --json it also gets the reason."""
    model, words = told

    checked = run(shadowed, model, "--check", "--json")

    assert checked.exit_code == (0 if words == "agrees" else 1)
    assert json.loads(checked.output)["shadows"][0]["sampled"] == 120


def test_check_looks_at_all_that_answer_now_and_at_nobody_else(shadowed: Shadowed) -> None:
    """A canary that comes later, and agrees, does not make up for the stable version; one that is gone counts no more."""
    shadow = {"version": "2", "sample": 1.0}
    seen = []
    for sampled, route in enumerate(
        (
            {"stable": "3", "shadows": [shadow]},
            {"stable": "3", "shadows": [shadow], "canaries": [{"name": "b", "version": "1", "weight": 100}]},
            {"stable": "1", "shadows": [shadow]},
        ),
        1,
    ):
        shadowed.serving.admin.put("/admin/models/checked/route", json=route, headers=shadowed.serving.authorized).raise_for_status()
        shadowed.ask_http("checked", [[1.0, 0.0, 0.0, 0.0]])
        shadowed.settled("checked", [sampled])
        seen.append(run(shadowed, "checked", "--check").exit_code)

    assert seen == [1, 1, 0]


def test_a_model_without_shadows_is_told_so(shadowed: Shadowed) -> None:
    """Rather than shown as an empty table."""
    assert run(shadowed, "unshadowed").output.startswith("unshadowed has no shadows; penstock traffic shadow")


def test_an_unknown_model_is_refused(shadowed: Shadowed) -> None:
    """With the server's own words, and exit code 1."""
    refused = run(shadowed, "nobody")

    assert refused.exit_code == 1
    assert "unknown model 'nobody'" in refused.output
