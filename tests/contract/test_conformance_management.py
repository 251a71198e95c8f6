"""C66-C76: the repository, configuration, statistics and logging extensions."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from cases import SUM, addsub, tensor
from serving import Serving, until
from transports import Answer, Transport, error_text

from penstock.wire import inference as pb

TRANSPORTS: Final = ("http", "grpc")
DURATIONS: Final = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")


def numbered(case: str) -> list[Any]:
    """Return both transports as parameters of a case."""
    return [pytest.param(name, id=f"{case}-{name}") for name in TRANSPORTS]


def index(server: Serving, transport: Transport, *, ready: bool = False) -> list[tuple[str, str, str]]:
    """Return the repository's index: name, version and state."""
    if transport.name == "grpc":
        reply = server.grpc.call("RepositoryIndex", pb.RepositoryIndexRequest(ready=ready))
        return [(entry.name, entry.version, entry.state) for entry in reply.models]
    response = server.client.post("/v2/repository/index", json={"ready": True} if ready else None)
    assert response.status_code == 200
    return [(entry["name"], entry.get("version", ""), entry.get("state", "")) for entry in response.json()]


def manage(server: Serving, transport: Transport, what: str, model: str) -> Answer:
    """Load or unload a model; over HTTP on the admin listener."""
    if transport.name == "http":
        response = getattr(server, what)(model)
        return Answer("OK") if response.status_code == 200 else Answer(str(response.status_code), error_text(response))
    request = getattr(pb, f"RepositoryModel{what.title()}Request")(model_name=model)
    return server.grpc.refusal(f"RepositoryModel{what.title()}", request, tuple(server.authorized.items()))


def statistics(server: Serving, transport: Transport, model: str) -> list[dict[str, Any]]:
    """Return a model's statistics as plain values, version by version."""
    if transport.name == "http":
        entries = server.client.get(f"/v2/models/{model}/stats").json()["model_stats"]
        assert all(type(entry["inference_count"]) is int for entry in entries), "perf_analyzer needs numbers"
        return [
            {
                "version": entry["version"],
                "rows": entry["inference_count"],
                "runs": entry["execution_count"],
                **{key: entry["inference_stats"][key]["count"] for key in DURATIONS},
                "batches": {batch["batch_size"]: batch["compute_infer"]["count"] for batch in entry["batch_stats"]},
            }
            for entry in entries
        ]
    reply = server.grpc.call("ModelStatistics", pb.ModelStatisticsRequest(name=model))
    return [
        {
            "version": entry.version,
            "rows": entry.inference_count,
            "runs": entry.execution_count,
            **{key: getattr(entry.inference_stats, key).count for key in DURATIONS},
            "batches": {batch.batch_size: batch.compute_infer.count for batch in entry.batch_stats},
        }
        for entry in reply.model_stats
    ]


@pytest.fixture
def changing(server: Serving) -> Iterator[str]:
    """A model that a test may unload; it is loaded again afterwards."""
    yield "changing"
    assert server.load("changing").status_code == 200


@pytest.mark.parametrize("transport", numbered("C66"), indirect=True)
def test_index_lists_every_version(server: Serving, transport: Transport) -> None:
    """Each entry has the model's name, and both versions of addsub are there."""
    entries = index(server, transport)

    assert all(name for name, _, _ in entries)
    assert {("addsub", "1", "READY"), ("addsub", "3", "READY")} <= set(entries)


@pytest.mark.parametrize("transport", numbered("C67"), indirect=True)
def test_index_can_be_asked_for_ready_versions_only(server: Serving, transport: Transport, changing: str) -> None:
    """A model that is unloaded is not among them."""
    assert manage(server, transport, "unload", changing).family == "OK"

    entries = index(server, transport, ready=True)

    assert {state for _, _, state in entries} == {"READY"}
    assert changing not in {name for name, _, _ in entries}


@pytest.mark.parametrize("transport", numbered("C68"), indirect=True)
def test_unloaded_model_refuses(server: Serving, transport: Transport, changing: str) -> None:
    """It is no longer ready, predictions are refused, and the server stays ready."""
    assert manage(server, transport, "unload", changing).family == "OK"

    until(lambda: server.client.get(f"/v2/models/{changing}/ready").status_code != 200)
    assert server.grpc.call("ModelReady", pb.ModelReadyRequest(name=changing)).ready is False
    assert transport.infer(changing, addsub()).family in {"NOT_FOUND", "UNAVAILABLE"}
    assert transport.alive()


@pytest.mark.parametrize("transport", numbered("C69"), indirect=True)
def test_unloaded_model_can_be_loaded_again(server: Serving, transport: Transport, changing: str) -> None:
    """The answer to the load means that predictions are taken."""
    assert manage(server, transport, "unload", changing).family == "OK"

    loaded = manage(server, transport, "load", changing)

    assert loaded.family == "OK", loaded.text
    assert transport.infer(changing, addsub(), "1").outputs["OUTPUT0"].values == SUM


@pytest.mark.parametrize("transport", numbered("C70"), indirect=True)
def test_model_that_is_not_there_cannot_be_loaded(server: Serving, transport: Transport) -> None:
    """The error names it."""
    answer = manage(server, transport, "load", "nope")

    assert answer.family in {"404", "NOT_FOUND"}
    assert "nope" in answer.text


@pytest.mark.parametrize("path", [pytest.param("/v2/models/addsub/config", id="C71-http")])
def test_configuration_is_tritons(server: Serving, path: str) -> None:
    """Proto names, enums by name, dims without the batch, numbers as numbers."""
    document = server.client.get(path).json()

    assert document["name"] == "addsub"
    assert document["max_batch_size"] == 8
    assert document["input"][0]["dims"] == [16]
    assert document["input"][0]["data_type"] == "TYPE_INT32"
    assert document["platform"] == "onnxruntime_onnx"
    assert "maxBatchSize" not in document


@pytest.mark.parametrize("model", [pytest.param("addsub", id="C71-grpc")])
def test_configuration_is_the_same_over_grpc(server: Serving, model: str) -> None:
    """The message that HTTP renders."""
    config = server.grpc.call("ModelConfig", pb.ModelConfigRequest(name=model)).config

    assert config.max_batch_size == 8
    assert list(config.input[0].dims) == [16]
    assert config.input[0].data_type == pb.TYPE_INT32


@pytest.mark.parametrize("transport", numbered("C72"), indirect=True)
def test_statistics_begin_at_zero(server: Serving, transport: Transport) -> None:
    """One entry for each version, also before any request: what ran at the start does not count."""
    entries = statistics(server, transport, "untouched")

    assert [entry.pop("version") for entry in entries] == ["1", "3"]
    assert entries == [{"rows": 0, "runs": 0, **dict.fromkeys(DURATIONS, 0), "batches": {}}] * 2


@pytest.mark.parametrize("transport", numbered("C73"), indirect=True)
def test_statistics_count_requests_rows_and_runs(server: Serving, transport: Transport) -> None:
    """A request of four rows is one success, four inferences and one execution of batch size four."""
    four = {"inputs": [tensor(name, "INT32", [4, 16], [1] * 64) for name in ("INPUT0", "INPUT1")]}
    (before,) = statistics(server, transport, "counted")

    assert transport.infer("counted", four).family == "OK"

    (after,) = statistics(server, transport, "counted")
    grown = {key: after[key] - before[key] for key in ("rows", "runs", *DURATIONS)}
    once = dict.fromkeys(("success", "queue", "compute_input", "compute_infer", "compute_output"), 1)
    assert grown == {"rows": 4, "runs": 1, "fail": 0, **once}
    assert list(after["batches"]) == [4]
    assert after["batches"][4] == before["batches"].get(4, 0) + 1


@pytest.mark.parametrize("transport", numbered("C74"), indirect=True)
def test_statistics_count_failures(server: Serving, transport: Transport) -> None:
    """A request that fails in the model is a failure and nothing else."""
    (before,) = statistics(server, transport, "counted_boom")

    answer = transport.infer("counted_boom", {"inputs": [tensor("I", "INT64", [1], [99])]})

    (after,) = statistics(server, transport, "counted_boom")
    assert answer.family == "INTERNAL"
    assert (after["fail"], after["success"], after["rows"]) == (before["fail"] + 1, before["success"], before["rows"])


@pytest.mark.parametrize("path", [pytest.param("/v2/models/stats", id="C75-http")])
def test_statistics_of_all_models(server: Serving, path: str) -> None:
    """Every ready version is there."""
    entries = server.client.get(path).json()["model_stats"]

    ready = {(name, version) for name, version, _ in index(server, server.http, ready=True)}
    assert {(entry["name"], entry["version"]) for entry in entries} == ready


@pytest.mark.parametrize("model", [pytest.param("", id="C75-grpc")])
def test_statistics_of_all_models_over_grpc(server: Serving, model: str) -> None:
    """The same through ModelStatistics without a name."""
    reply = server.grpc.call("ModelStatistics", pb.ModelStatisticsRequest(name=model))

    ready = {(name, version) for name, version, _ in index(server, server.grpc, ready=True)}
    assert {(entry.name, entry.version) for entry in reply.model_stats} == ready


@pytest.mark.parametrize("path", [pytest.param("/v2/logging", id="C76-http")])
def test_log_settings_can_be_changed(server: Serving, path: str) -> None:
    """On the admin listener, with the token; the other settings stay."""
    before = server.client.get(path).json()

    changed = server.admin.post(path, json={"log_verbose_level": 1}, headers=server.authorized)

    try:
        assert changed.status_code == 200
        assert server.client.get(path).json() == {**before, "log_verbose_level": 1}
        assert {"log_file", "log_info", "log_warning", "log_error", "log_verbose_level", "log_format"} <= set(before)
    finally:
        server.admin.post(path, json={"log_verbose_level": before["log_verbose_level"]}, headers=server.authorized)


@pytest.mark.parametrize("level", [pytest.param(1, id="C76-grpc")])
def test_log_settings_can_be_changed_over_grpc(server: Serving, level: int) -> None:
    """The same through LogSettings."""
    authorized = tuple(server.authorized.items())
    change, back = pb.LogSettingsRequest(), pb.LogSettingsRequest()
    change.settings["log_verbose_level"].uint32_param = level
    before = server.grpc.call("LogSettings", pb.LogSettingsRequest()).settings
    back.settings["log_verbose_level"].uint32_param = before["log_verbose_level"].uint32_param

    server.grpc.call("LogSettings", change, authorized)

    try:
        after = server.grpc.call("LogSettings", pb.LogSettingsRequest()).settings
        assert after["log_verbose_level"].uint32_param == level
        assert set(after) == set(before)
    finally:
        server.grpc.call("LogSettings", back, authorized)


@pytest.mark.parametrize("level", [pytest.param((1 << 32) - 1, id="C76-shared-grpc")])
def test_log_settings_are_the_same_over_both(server: Serving, level: int) -> None:
    """What was changed over HTTP is told over gRPC, which can tell of any level that HTTP takes, and changes nothing but what it names."""
    authorized, path = tuple(server.authorized.items()), "/v2/logging"
    change = pb.LogSettingsRequest()
    change.settings["log_format"].string_param = "default"
    before = server.client.get(path).json()
    try:
        assert server.admin.post(path, json={"log_verbose_level": level + 1}, headers=server.authorized).status_code == 400
        server.admin.post(path, json={"log_verbose_level": level, "log_info": False}, headers=server.authorized)
        after = server.client.get(path).json()
        told = server.grpc.call("LogSettings", change, authorized).settings

        assert told["log_verbose_level"].uint32_param == after["log_verbose_level"] == level
        assert server.client.get(path).json() == after
    finally:
        back = {key: before[key] for key in ("log_verbose_level", "log_info")}
        server.admin.post(path, json=back, headers=server.authorized)
