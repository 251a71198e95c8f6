"""The truth told to a real server: joined with what it predicted, judged, counted and recorded; what does not fit is refused with the reason."""

import gzip
import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving import Serving, until

from penstock.payloads.layout import OPEN
from penstock.payloads.reading import rows_of

LABEL = {"name": "label", "datatype": "INT64", "shape": [1], "data": [1]}


def tell(serving: Serving, body: Any, model: str = "digits", **headers: str) -> Any:
    """Post feedback."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return serving.client.post(f"/v2/models/{model}/feedback", content=content, headers=headers)


def quality(serving: Serving, model: str) -> dict[str, Any]:
    """Return what the admin listener tells of a model's quality."""
    answer = serving.admin.get(f"/admin/models/{model}/monitoring", headers=serving.authorized)
    assert answer.status_code == 200, answer.text
    return answer.json()["quality"]


def counted(serving: Serving, name: str, **labels: str) -> float | None:
    """Return one sample of the metrics, None if it is not there."""
    families = text_string_to_metric_families(serving.admin.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return next((sample.value for sample in samples if labels.items() <= sample.labels.items()), None)


def recorded(serving: Serving, model: str, request_id: str) -> list[dict[str, Any]]:
    """Return the rows about a request, once there are any; files that are being written count too."""
    folder = serving.state / "payloads" / "feedback" / f"model={model}"

    def found() -> list[dict[str, Any]]:
        paths = [*folder.glob("date=*/*.jsonl"), *folder.glob(f"date=*/.*{OPEN}")]
        try:
            return [row for path in paths for row in rows_of(path) if row["request_id"] == request_id]
        except FileNotFoundError:  # sealed meanwhile
            return []

    return until(found)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(
    "outputs",
    [[LABEL], {"label": [1]}, {"label": 1}, {"probabilities": 1}, {"probabilities": [[0, 1.0, 0, 0, 0, 0, 0, 0, 0, 0]]}],
    ids=["tensor", "short", "one value", "place of a score", "distribution"],
)
def test_the_truth_finds_its_prediction_whatever_the_wire_and_the_form(serving: Serving, ask: Any, protocol: str, outputs: Any) -> None:
    """The version and the arm that answered are told."""
    request_id = ask(protocol=protocol, version="2")

    answer = tell(serving, {"id": request_id, "outputs": outputs})

    assert (answer.status_code, answer.json()) == (200, {"id": request_id, "outcome": "joined", "version": "2", "arm": "pinned"})


def test_figures_are_kept_by_version_and_arm_and_shown_as_metrics(serving: Serving, ask: Any) -> None:
    """Accuracy, log loss, calibration for classes; the arms that metrics call stable are one there."""
    answer = serving.client.post(
        "/v2/models/iris/infer",
        json={"inputs": [{"name": "features", "datatype": "FP32", "shape": [2, 4], "data": [5.1, 3.5, 1.4, 0.2] * 2}]},
    )
    assert tell(serving, {"id": answer.headers["x-request-id"], "outputs": {"label": [0, 2]}}, "iris").status_code == 200
    assert tell(serving, {"id": ask("iris", version="1"), "outputs": {"label": 0}}, "iris").status_code == 200

    found = quality(serving, "iris")

    assert found["versions"] == [{"version": "1", "kind": "classes", "output": "label", "scores": "probabilities"}]
    pinned, stable = found["figures"]
    assert (pinned["arm"], pinned["rows"], pinned["accuracy"]) == ("pinned", 1, 1.0)
    assert (stable["version"], stable["arm"], stable["rows"], stable["accuracy"]) == ("1", "stable", 2, 0.5)
    assert stable["log_loss"] > pinned["log_loss"] > 0
    assert 0 <= stable["ece"] <= 1
    labels = {"model": "iris", "version": "1", "route": "stable"}
    assert counted(serving, "penstock_quality_rows", **labels) == 3
    assert counted(serving, "penstock_quality_accuracy", **labels) == pytest.approx(2 / 3)


def test_text_labels_are_judged_by_the_classes_that_the_settings_name(serving: Serving, ask: Any) -> None:
    """An unknown class is refused, and nothing is taken: the right one can still be told."""
    request_id = ask("language")
    refused = tell(serving, {"id": request_id, "outputs": {"label": "german"}}, "language")
    assert (refused.status_code, "'german'" in refused.json()["error"]) == (400, True)

    assert tell(serving, {"id": request_id, "outputs": {"label": "de"}}, "language").json()["outcome"] == "joined"

    (figures,) = quality(serving, "language")["figures"]
    assert figures["accuracy"] == 1
    assert 0 < figures["log_loss"] < 1


def test_a_reward_needs_no_truth(serving: Serving, ask: Any) -> None:
    """It is averaged by version and arm, and shown as a metric."""
    for reward in (1, 0.5):
        assert tell(serving, {"id": ask(version="2"), "reward": reward}).json()["outcome"] == "joined"

    figures = next(one for one in quality(serving, "digits")["figures"] if (one["version"], one["arm"]) == ("2", "pinned"))
    assert figures["reward"] == 0.75
    assert counted(serving, "penstock_quality_reward", model="digits", version="2") == 0.75


def test_a_second_word_is_a_duplicate_and_changes_nothing(serving: Serving, ask: Any) -> None:
    """It is recorded, so that a correction is not lost."""
    request_id = ask("language")
    tell(serving, {"id": request_id, "outputs": {"label": "de"}}, "language")
    before = quality(serving, "language")["figures"]

    again = tell(serving, {"id": request_id, "outputs": {"label": "fr"}}, "language")

    assert (again.status_code, again.json()["outcome"]) == (200, "duplicate")
    assert quality(serving, "language")["figures"] == before
    until(lambda: [row["outcome"] for row in recorded(serving, "language", request_id)] == ["joined", "duplicate"])


def test_an_unknown_id_is_accepted_recorded_and_counted(serving: Serving) -> None:
    """Whoever has the files can join it with a prediction that the server has forgotten."""
    before = counted(serving, "penstock_feedback_total", model="digits", outcome="unknown") or 0

    answer = tell(serving, {"id": "long-ago", "outputs": {"label": [3]}})

    assert (answer.status_code, answer.json()) == (202, {"id": "long-ago", "outcome": "unknown"})
    assert counted(serving, "penstock_feedback_total", model="digits", outcome="unknown") == before + 1
    (row,) = recorded(serving, "digits", "long-ago")
    assert (row["version"], row["route"], row["outcome"], row["reward"]) == ("", "", "unknown", None)
    assert row["truth"] == [{"name": "label", "datatype": "INT64", "shape": [1], "data": [3]}]


def test_the_truth_is_redacted_as_the_output_of_its_name_is(serving: Serving, ask: Any) -> None:
    """With the same key, so that the two can still be compared."""
    request_id = ask("iris")
    tell(serving, {"id": request_id, "outputs": {"label": 0}}, "iris")

    (row,) = recorded(serving, "iris", request_id)
    (payload,) = until(lambda: _payload(serving, request_id))
    hashed = next(cell for cell in payload["outputs"] if cell["name"] == "label")
    assert row["truth"][0]["datatype"] == "BYTES"
    assert row["truth"][0]["data"] == hashed["data"]


def _payload(serving: Serving, request_id: str) -> list[dict[str, Any]]:
    root = serving.state / "payloads" / "model=iris"
    paths = [*root.rglob("*.jsonl"), *root.rglob(f".*{OPEN}")]
    try:
        return [row for path in paths for row in rows_of(path) if row["request_id"] == request_id]
    except FileNotFoundError:
        return []


def test_an_output_that_was_not_asked_for_cannot_be_judged_and_is_recorded_all_the_same(serving: Serving, ask: Any) -> None:
    """The truth is as true for whoever reads the files."""
    request_id = ask(outputs=[{"name": "probabilities"}], version="2")

    answer = tell(serving, {"id": request_id, "outputs": {"label": 1}})

    assert answer.json()["outcome"] == "joined"
    assert recorded(serving, "digits", request_id)[0]["version"] == "2"


@pytest.mark.parametrize("form", ["list", "lines", "lines by their type"])
def test_many_words_are_taken_one_by_one(serving: Serving, ask: Any, form: str) -> None:
    """One that is refused costs no other; the answer names it by its place."""
    first, second = ask(), ask()
    words = [
        {"id": first, "outputs": {"label": 1}},
        {"id": second, "outputs": {"lable": 1}},
        {"id": first, "reward": 1},
        {"id": "gone", "reward": 0},
    ]
    lines = b"\n".join(json.dumps(word).encode() for word in words) + b"\n"

    answer = tell(serving, words if form == "list" else lines, **({"content-type": "application/x-ndjson"} if "type" in form else {}))

    told = answer.json()
    assert answer.status_code == 202, answer.text
    assert {name: told[name] for name in ("joined", "late", "duplicate", "unknown", "refused")} == {
        "joined": 1, "late": 0, "duplicate": 1, "unknown": 1, "refused": 1,
    }  # fmt: skip
    (error,) = told["errors"]
    assert (error["index"], error["code"]) == (1, "INVALID_ARGUMENT")
    assert "unknown output 'lable'" in error["error"]


def test_one_line_of_words_is_many_by_its_media_type(serving: Serving, ask: Any) -> None:
    """Who sends lines gets the answer to lines, however few there are."""
    answer = tell(serving, {"id": ask(), "reward": 1}, **{"content-type": "application/x-ndjson; charset=utf-8"})

    assert (answer.status_code, answer.json()["joined"]) == (200, 1)


@pytest.mark.parametrize("body", [b"", b"\n \n", b"not json\n"])
def test_lines_without_a_word_are_refused(serving: Serving, body: bytes) -> None:
    """Empty ones, blank ones, and those that are no JSON; each is counted."""
    before = quality(serving, "digits")["feedback"]["refused"]

    answer = tell(serving, body, **{"content-type": "application/x-ndjson"})

    assert answer.status_code == 400, answer.text
    assert quality(serving, "digits")["feedback"]["refused"] == before + 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"[]", "empty"),
        (b"7", "JSON number"),
        (b"{", "not valid JSON"),
        ({"outputs": {"label": 1}}, "x-request-id"),
        ({"id": 7, "reward": 1}, "x-request-id"),
        ({"id": "x" * 129, "reward": 1}, "128 bytes"),
        ({"id": "a"}, "neither"),
        ({"id": "a", "outputs": {"label": 1}, "reward": 1}, "both"),
        ({"id": "a", "output": {"label": 1}}, "did you mean 'outputs'"),
        ({"id": "a", "reward": "good"}, "the reward is"),
        ({"id": "a", "reward": True}, "the reward is"),
        (b'{"id": "a", "reward": NaN}', "NaN"),
        ({"id": "a", "outputs": 3}, "JSON number"),
        ({"id": "a", "outputs": {}}, "0 outputs"),
        ({"id": "a", "outputs": {"label": []}}, "no values"),
        ({"id": "a", "outputs": {"lable": 3}}, "label INT64[-1]"),
        ({"id": "a", "outputs": {"label": "three"}}, "output 'label' holds \"'three'\"; INT64 takes integers"),
        ({"id": "a", "outputs": {"label": 3.0}}, "INT64 takes integers"),
        ({"id": "a", "outputs": {"probabilities": [0.5, 0.5]}}, "unexpected shape for the truth of 'probabilities'"),
        ({"id": "a", "outputs": [{"name": "label", "data": [1]}]}, "lacks 'datatype', 'shape'"),
        ({"id": "a", "outputs": [LABEL, LABEL]}, "once"),
        ({"id": "a", "outputs": [LABEL | {"datatype": "FP32"}]}, "its truth is INT64"),
        ({"id": "a", "outputs": [LABEL | {"shape": [1, 1]}]}, "received [1, 1], the model gives [-1]"),
        ({"id": "a", "outputs": [LABEL | {"shape": [2]}]}, "needs 2 values, got 1"),
        ([{"id": "a"}, 5], "none of the 2 words"),
        ([["a"] * 3], "none of the 1 words of feedback can be taken; the first: a word of feedback is a JSON array"),
        (b"[" * 70 + b"]" * 70, "nesting depth"),
    ],
)
def test_what_is_no_feedback_is_refused_with_the_reason(serving: Serving, body: Any, words: str) -> None:
    """400, and nothing is taken."""
    answer = tell(serving, body)

    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]
    assert answer.json()["code"] == "INVALID_ARGUMENT"


def test_a_truth_of_other_rows_than_the_prediction_is_refused_and_the_right_one_still_counts(serving: Serving, ask: Any) -> None:
    """Nobody can tell which rows are meant."""
    request_id = ask(rows=3)
    refused = tell(serving, {"id": request_id, "outputs": {"label": [1, 2]}})
    assert (refused.status_code, "[2]" in refused.text, "[3]" in refused.text) == (400, True, True)

    assert tell(serving, {"id": request_id, "outputs": {"label": [1, 2, 3]}}).json()["outcome"] == "joined"


def test_models_that_nobody_knows_or_asked_feedback_for_are_told_apart(serving: Serving) -> None:
    """404 for the first, 409 with the setting for the second."""
    word = {"id": "a", "reward": 1}

    assert tell(serving, word, "nobody").status_code == 404
    off = tell(serving, word, "diabetes")
    assert (off.status_code, "models.diabetes.feedback.enabled" in off.json()["error"]) == (409, True)
    assert quality(serving, "diabetes") == {"enabled": False}
    assert serving.client.get("/v2/models/digits/feedback").status_code == 405
    assert serving.admin.get("/admin/models/digits/monitoring").status_code == 401


def test_bodies_are_limited_and_may_be_compressed_as_those_of_predictions(serving: Serving, ask: Any) -> None:
    """413 above the limit, 415 for what is not understood; too many words are too much as well."""
    request_id = ask()
    packed = gzip.compress(json.dumps({"id": request_id, "reward": 1}).encode())

    assert tell(serving, packed, **{"content-encoding": "gzip"}).json()["outcome"] == "joined"
    assert tell(serving, packed, **{"content-encoding": "br"}).status_code == 415
    assert tell(serving, b" " * (64 * 1024 * 1024 + 1)).status_code == 413
    assert tell(serving, [{"id": "a", "reward": 1}] * 10_001).status_code == 413


def test_every_word_is_counted_once(serving: Serving, ask: Any) -> None:
    """Taken words are those that are recorded; refused ones are not."""
    tell(serving, {"id": ask(), "reward": 1})
    tell(serving, {"id": "a"})

    def balanced() -> bool:
        outcomes = ("joined", "late", "duplicate", "unknown")
        taken = sum(quality(serving, model)["feedback"][outcome] for model in ("digits", "iris", "language") for outcome in outcomes)
        return counted(serving, "penstock_feedback_rows_total") == taken > 0

    until(balanced)
    assert quality(serving, "digits")["feedback"]["refused"] > 0


def test_the_memory_is_told_with_its_bound(serving: Serving, ask: Any) -> None:
    """So that an operator sees for how long feedback can be joined."""
    ask()

    told = quality(serving, "digits")["remembered"]

    assert 0 < told["bytes"] <= told["max_bytes"]
    assert counted(serving, "penstock_feedback_remembered", model="digits") == told["predictions"] > 0
