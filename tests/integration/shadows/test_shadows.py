"""Shadows beside real predictions: callers notice nothing, and the report names everything."""

from collections import Counter
from typing import Any

import httpx2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving import until
from shadowed import Shadowed

from penstock.cli.shadow_table import shadow_lines
from penstock.traffic.marks import mark_of, threshold_of

ASKED = 30


def rows_of(seed: int, rows: int = 1) -> Any:
    """Return an input below the limit from which on the rare shadow differs."""
    return np.random.default_rng(seed).random((rows, 4), np.float32) * 0.9


def samples(shadowed: Shadowed, name: str, model: str) -> dict[tuple[str, ...], float]:
    """Return the samples of a metric that are a model's, by the values of their other labels, in the order of the labels' names."""
    found = {}
    for family in text_string_to_metric_families(shadowed.serving.admin.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name and sample.labels["model"] == model:
                found[tuple(value for key, value in sorted(sample.labels.items()) if key != "model")] = sample.value
    return found


@pytest.mark.parametrize(
    ("kind", "measure", "kinds"),
    [
        ("rounded", None, set()),
        ("nan", "nan", {"nan"}),
        ("shape", "shape", {"shape"}),
        ("datatype", "datatype", {"datatype"}),
        ("renamed", "outputs", {"missing", "extra"}),
    ],
)
def test_primary_answers_the_same_and_the_report_names_the_difference(
    shadowed: Shadowed, kind: str, measure: str | None, kinds: set[str]
) -> None:
    """Over both wires, bit by bit."""
    model = f"to_{kind}"
    shadowed.route(model, ("2", 1.0))

    for number in range(ASKED):
        rows = rows_of(number, 1 + number % 3)
        for ask in (shadowed.ask_http, shadowed.ask_grpc):
            assert ask(model, rows) == ((rows + rows).tobytes(), "1", "stable")

    (shadow,) = shadowed.settled(model, [2 * ASKED])
    assert (shadow["ends"], shadow["failed"]["count"], shadow["sample"]) == ({"compared": 2 * ASKED}, 0, 1.0)
    (comparison,) = shadow["comparisons"]
    different = 2 * ASKED if measure else 0
    assert (comparison["requests"], comparison["disagreements"]["count"]) == (2 * ASKED, different)
    assert comparison["verdict"] == ("disagrees" if measure else "inconclusive")
    assert {name for name, share in comparison["measures"].items() if share["count"]} >= ({measure} if measure else set())
    assert {example["kind"] for example in comparison["examples"]} == kinds
    assert not any(example["values"] for example in comparison["examples"])
    for output in comparison["outputs"]:  # of one that was never there on both sides nothing is known
        assert (output["difference"] is None) == (output["mean_difference"] is None) == (output["requests"] == 0)
    if measure:
        assert samples(shadowed, "penstock_shadow_mismatch_total", model)[measure, "2"] == 2 * ASKED
        assert samples(shadowed, "penstock_shadow_compared_total", model)[measure, "2"] == 2 * ASKED


def test_shadow_that_takes_no_such_input_is_named(shadowed: Shadowed) -> None:
    """With the reason, and no figure of what was never compared."""
    shadowed.route("to_input", ("2", 1.0))

    assert shadowed.ask_http("to_input", rows_of(1)).output == (rows_of(1) * 2).tobytes()

    (shadow,) = shadowed.settled("to_input", [1])
    assert shadow["ends"] == {"refused": 1}
    assert "received [1, 4], the model expects [-1, 3]" in shadow["last_error"]
    (comparison,) = shadow["comparisons"]
    latency = comparison["latency_s"]
    assert (comparison["requests"], latency["primary"], latency["shadow"], comparison["waited_s"]) == (0, None, None, None)
    _, row, *_ = shadow_lines([shadow])
    assert row.split()[-4] == "-", row


def test_shadow_that_fails_is_named_and_fails_nobody_else(shadowed: Shadowed) -> None:
    """One request in ten makes it fail; those that ran with it are compared all the same."""
    shadowed.route("to_failing", ("2", 1.0))

    for number in range(ASKED):
        rows = rows_of(number) + (0 if number % 10 else 300)
        assert shadowed.ask_http("to_failing", rows).output == (rows + rows).tobytes()

    (shadow,) = shadowed.settled("to_failing", [ASKED])
    assert shadow["ends"] == {"compared": ASKED - 3, "failed": 3}
    assert (shadow["failed"]["count"], shadow["failed"]["of"]) == (3, ASKED)
    assert "the model failed on this input" in shadow["last_error"]
    assert shadow["comparisons"][0]["disagreements"]["count"] == 0


@pytest.mark.parametrize(
    ("model", "asked"), [("planted", 1500), pytest.param("planted_often", 5000, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_planted_disagreement_is_found_and_an_equal_shadow_has_none(shadowed: Shadowed, model: str, asked: int) -> None:
    """One of 200 requests, told with its interval; the other shadow is a copy of the primary."""
    shadowed.route(model, ("2", 1.0), ("3", 1.0))
    values = np.random.default_rng(8).random((asked, 1, 4), np.float32)
    planted = int((values[:, 0, 0] > 0.995).sum())

    for rows in values:
        assert shadowed.ask_http(model, rows).output == (rows + rows).tobytes()

    rare, equal = shadowed.settled(model, [asked, asked])
    # On a busy machine some make way for predictions: those are counted, and not compared.
    compared = rare["ends"]["compared"]
    assert min(compared, equal["ends"]["compared"]) > 0.5 * asked
    assert {*rare["ends"], *equal["ends"]} <= {"compared", "yielded", "busy"}
    (told,), (none,) = rare["comparisons"], equal["comparisons"]
    share = told["disagreements"]
    assert (told["verdict"], share["of"]) == ("disagrees", compared)
    assert planted - (asked - compared) <= share["count"] <= planted
    assert 0 < share["low"] < 0.005 < share["high"] < 0.02
    assert {one["difference"] > 9 for one in told["examples"]} == {True}
    assert (none["verdict"], none["disagreements"]["count"]) == ("agrees", 0)
    assert none["noise"]["requests"] == pytest.approx(0.2 * asked, rel=0.5)
    assert (none["noise"]["floor"], none["noise"]["beyond"]["count"]) == (1.0, 0)
    assert none["primary_digest"] == none["shadow_digest"]


def test_sampled_are_those_whose_mark_says_so(shadowed: Shadowed) -> None:
    """Of every replica the same requests, and of two shadows the smaller share's are among the larger's."""
    shadowed.route("sampled", ("2", 0.1), ("3", 0.5))
    ids = [f"id-{number}" for number in range(600)]

    for one in ids:
        shadowed.ask_http("sampled", rows_of(1), one)

    few, many = shadowed.settled("sampled")
    assert [shadow["sampled"] for shadow in (few, many)] == [sum(mark_of(one) < threshold_of(share) for one in ids) for share in (0.1, 0.5)]
    assert abs(few["sampled"] - 60) < 4 * np.sqrt(600 * 0.1 * 0.9)


def test_a_pinned_version_has_no_shadow(shadowed: Shadowed) -> None:
    """It bypasses the route, and all that belongs to it."""
    shadowed.route("moving", ("2", 1.0))

    told = shadowed.ask_http("moving", rows_of(1), version="1")
    shadowed.ask_http("moving", rows_of(1))

    assert told.arm == "pinned"
    (shadow,) = shadowed.settled("moving", [1])
    assert shadow["ends"] == {"compared": 1}


def test_every_arm_is_followed(shadowed: Shadowed) -> None:
    """Each version that answers has a comparison of its own."""
    canary = {"name": "b", "version": "3", "weight": 50}
    route = {"stable": "1", "canaries": [canary], "shadows": [{"version": "2", "sample": 1.0}]}
    answer = shadowed.serving.admin.put("/admin/models/armed/route", json=route, headers=shadowed.serving.authorized)
    assert answer.status_code == 200, answer.text

    arms = Counter(shadowed.ask_http("armed", rows_of(number)).arm for number in range(2 * ASKED))

    (shadow,) = shadowed.settled("armed", [2 * ASKED])
    assert {one["primary"]: one["requests"] for one in shadow["comparisons"]} == {"1": arms["stable"], "3": arms["b"]}
    assert {one["primary"]: one["disagreements"]["count"] for one in shadow["comparisons"]} == {"1": 0, "3": arms["b"]}


def test_a_shadow_of_the_settings_follows_from_the_start(shadowed: Shadowed) -> None:
    """Nobody has to set the route of a file."""
    for number in range(ASKED):
        shadowed.ask_http("configured", rows_of(number))

    (shadow,) = shadowed.settled("configured", [ASKED])
    assert (shadow["version"], shadow["ends"]) == ("2", {"compared": ASKED})


def test_a_shadow_that_the_route_drops_is_remembered(shadowed: Shadowed) -> None:
    """Behind those that it has."""
    shadowed.route("moving", ("2", 1.0))
    shadowed.ask_http("moving", rows_of(1))
    before = shadowed.settled("moving")[0]["sampled"]

    shadowed.route("moving", ("3", 0.5))
    shadowed.ask_http("moving", rows_of(1))

    present, past = shadowed.settled("moving")[:2]
    assert (present["version"], present["sample"]) == ("3", 0.5)
    assert (past["version"], past["sample"], past["sampled"]) == ("2", None, before)
    shadowed.route("moving", ("2", 0.25))  # is another one
    assert [(each["version"], each["sample"], each["sampled"]) for each in shadowed.settled("moving")[:3:2]] == [
        ("2", 0.25, 0),
        ("2", None, before),
    ]


def test_shadows_are_no_predictions(shadowed: Shadowed) -> None:
    """What was received is what callers asked; what shadows did is counted apart, and each has one end."""
    shadowed.route("to_rare", ("2", 1.0))
    for number in range(ASKED):
        shadowed.ask_http("to_rare", rows_of(number))
    shadowed.settled("to_rare", [ASKED])

    shadowed.serving.assert_balanced()
    assert samples(shadowed, "penstock_received_total", "to_rare") == {("http",): ASKED}
    requests = samples(shadowed, "penstock_requests_total", "to_rare")
    assert (sum(requests.values()), {key[-1] for key in requests}) == (ASKED, {"1"})
    assert samples(shadowed, "penstock_shadow_requests_total", "to_rare") == {("compared", "2"): ASKED}
    assert samples(shadowed, "nv_inference_exec_count", "to_rare")["2",] == 0
    again = samples(shadowed, "penstock_shadow_again_total", "to_rare")
    assert set(again) <= {("compared", "1")}
    until(lambda: set(samples(shadowed, "penstock_shadow_held_bytes", "to_rare").values()) <= {0.0})


@pytest.mark.parametrize(
    ("path", "authorized", "status"),
    [("/admin/models/to_rare/shadows", False, 401), ("/admin/models/nobody/shadows", True, 404)],
)
def test_who_may_ask_for_what(shadowed: Shadowed, path: str, authorized: bool, status: int) -> None:
    """As for the neighbours; on the prediction listener there is no such path."""
    headers = shadowed.serving.authorized if authorized else {}

    answer: httpx2.Response = shadowed.serving.admin.get(path, headers=headers)

    assert answer.status_code == status
    assert shadowed.serving.client.get(path, headers=headers).status_code == 404


def test_a_model_without_shadows_has_an_empty_report(shadowed: Shadowed) -> None:
    """Rather than an error: there is a model, and nothing follows it."""
    shadowed.route("sampled")

    assert all(shadow["sample"] is None for shadow in shadowed.shadows("sampled"))
