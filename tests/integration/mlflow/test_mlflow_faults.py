"""The source against a server that fails, lies, or stands behind other doors."""

import base64
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from odd_server import OddServer, data, silence, status

from penstock.domain.errors import BadArtifact, NotFound
from penstock.registry import mlflow_artifacts, mlflow_client
from penstock.registry.mlflow import MlflowSource
from penstock.registry.mlflow_versions import KnownVersions
from penstock.registry.source import ModelListing, ReadOnlyRegistry, RegistryUnreachable, SourceFile

MODELS = "/api/2.0/mlflow/registered-models/search"
VERSIONS = "/api/2.0/mlflow/model-versions/search"
ALIAS = "/api/2.0/mlflow/registered-models/alias"
LISTED = "/api/2.0/mlflow-artifacts/artifacts"
MLMODEL = b"flavors:\n  onnx:\n    data: model.onnx\n  python_function: {}\n"
GRAPH = b"graph" * 1000
BEGUN_BYTES = 2000

Connect = Callable[..., MlflowSource]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client waited before it tried again; nobody really waits."""
    waited: list[float] = []
    client = mlflow_client.MlflowClient.__init__
    monkeypatch.setattr(
        mlflow_client.MlflowClient, "__init__", lambda self, access, **more: client(self, access, **more | {"pause": waited.append})
    )
    return waited


@pytest.fixture
def connect(odd: OddServer, waits: list[float]) -> Iterator[Connect]:
    """Make a source over the odd server, with the given variables in its environment."""
    sources = []

    def connect(uri: str = "", **environment: str) -> MlflowSource:
        sources.append(MlflowSource(uri or odd.uri, environment))
        return sources[-1]

    yield connect
    for source in sources:
        source.close()


def model(name: str, stamp: int = 1, **aliases: str) -> dict[str, object]:
    """Return a model as the search tells it; 64-bit integers come as strings from some servers."""
    rows = [{"alias": alias, "version": version} for alias, version in aliases.items()]
    return {"name": name, "last_updated_timestamp": str(stamp), "aliases": rows}


def version(name: str, number: object = 1, **more: object) -> dict[str, object]:
    """Return a version as the search tells it."""
    return {"name": name, "version": str(number), "creation_timestamp": 1, "status": "READY", "source": "s", **more}


def files_of(source: MlflowSource, odd: OddServer) -> list[SourceFile]:
    """Return the files of version 1 of the model m."""
    odd.give_models(model("m"), versions=[version("m")])
    listing: ModelListing = source.snapshot().models["m"]
    return list(source.files(listing, listing.versions[1]))


def read(files: list[SourceFile], name: str = "model.onnx") -> bytes:
    """Return the content of a file."""
    return b"".join(next(file for file in files if file.name == name).chunks())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (data(b"<html>a proxy says hello</html>"), "not MLflow's"),
        (data(b'{"registered_models": [{"name": 5}]}'), "not MLflow's"),
        (data(b"[" * 100_000), "not MLflow's"),
        (data(b'{"registered_models": ['), "not MLflow's"),
        (data(b"\xff\xfe"), "not MLflow's"),
        (data(b'{"registered_models": []}', length=1000), "cannot be reached"),
        (status(401, "UNAUTHENTICATED", "who are you?"), "who are you.*MLFLOW_TRACKING_TOKEN"),
        (status(403, "PERMISSION_DENIED", "not you\n\x1b[2J"), r"answers 403 to .*not you \[2J$"),
        (status(302, location="https://login.example/"), "redirects to https://login.example/; name that server"),
        (status(500, "INTERNAL_ERROR", "boom"), "boom"),
        (data(b"not json", 502), "answers 502.*not json"),
        (data(b'{"registered_models": [], "next_page_token": "again"}'), "more than 3 pages"),
    ],
)
def test_failing_server_is_unreachable_with_the_reason(
    odd: OddServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, answer: Any, words: str
) -> None:
    """What is loaded stays loaded then: that is the manager's part."""
    monkeypatch.setattr("penstock.registry.mlflow_records._PAGES", 3)
    odd.give(MODELS, answer)

    with pytest.raises(RegistryUnreachable, match=words):
        connect().snapshot()


def test_silent_server_is_given_up(odd: OddServer, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not asked again: it has had its time."""
    monkeypatch.setattr(mlflow_client, "_TIMEOUT_S", 0.2)
    odd.give(MODELS, silence)

    with pytest.raises(RegistryUnreachable, match="does not answer"):
        connect().snapshot()

    assert odd.paths() == [MODELS]


def test_endless_answer_is_cut_off(odd: OddServer, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a server sends, memory is bounded."""
    monkeypatch.setattr(mlflow_client, "_LIMIT_BYTES", 1000)
    odd.give(MODELS, data(b" " * 100_000))

    with pytest.raises(RegistryUnreachable, match="more than 1000 bytes"):
        connect().snapshot()


def test_trickling_answer_is_cut_off(odd: OddServer, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then resets the limit of silence, not that of the whole."""
    monkeypatch.setattr(mlflow_client, "_WHOLE_S", -1.0)
    odd.give(MODELS, {"registered_models": []})

    with pytest.raises(RegistryUnreachable, match="to answer"):
        connect().snapshot()


def test_no_server_is_unreachable(connect: Connect) -> None:
    """Port 1 is nobody's."""
    with pytest.raises(RegistryUnreachable, match=r"cannot be reached.*check the address"):
        connect("mlflow+http://127.0.0.1:1").snapshot()


def test_passing_failure_is_tried_again_when_the_server_asks(odd: OddServer, connect: Connect, waits: list[float]) -> None:
    """After the time that it asks for, but not after an hour."""
    odd.give(MODELS, status(429, retry_after="3"), status(503, retry_after="3600"), {"registered_models": [model("m")]})
    odd.give(VERSIONS, {"model_versions": []})

    assert list(connect().snapshot().models) == ["m"]
    assert waits == [3, 10]


def test_refusal_is_not_tried_again(odd: OddServer, connect: Connect, waits: list[float]) -> None:
    """It would be refused again."""
    odd.give(MODELS, status(403))

    with pytest.raises(RegistryUnreachable):
        connect().snapshot()

    assert waits == []


def test_pages_are_followed(odd: OddServer, connect: Connect) -> None:
    """To the last one, by the token of each."""
    odd.give(MODELS, {"registered_models": [model("a")], "next_page_token": "t&1"}, {"registered_models": [model("b")]})
    odd.give(VERSIONS, {"model_versions": [version("a")], "next_page_token": "t2"}, {"model_versions": [version("b", 2)]})

    models = connect().snapshot().models

    assert {name: sorted(found.versions) for name, found in models.items()} == {"a": [1], "b": [2]}
    assert "page_token=t%261" in odd.asked[1].query


def test_fifty_models_cost_one_call_while_nothing_changes(odd: OddServer, connect: Connect) -> None:
    """And one more for each of a few that have a new version, but no call each when many have."""
    models = [model(f"m{index}") for index in range(50)]
    versions = [version(f"m{index}", number) for index in range(50) for number in (1, 2, 3)]
    odd.give_models(*models, versions=versions)
    source = connect()

    source.snapshot()
    assert odd.paths() == [MODELS, VERSIONS]
    odd.asked.clear()

    assert len(source.snapshot().models) == 50
    assert odd.paths() == [MODELS]
    odd.asked.clear()

    odd.give_models(model("m0", 2), *models[1:], versions=[version("m0", 4)])
    snapshot = source.snapshot()
    assert [asked.query.rpartition("&")[2] for asked in odd.asked[1:]] == ["filter=name%3D%27m0%27"]
    assert (sorted(snapshot.models["m0"].versions), sorted(snapshot.models["m1"].versions)) == ([4], [1, 2, 3])
    odd.asked.clear()

    odd.give_models(*(model(f"m{index}", 3) for index in range(50)), versions=versions)
    source.snapshot()
    assert odd.paths() == [MODELS, VERSIONS]


def test_everything_is_asked_again_now_and_then(odd: OddServer, connect: Connect) -> None:
    """For tags leave no trace on their model."""
    now = [0.0]
    source = connect()
    source._known = KnownVersions(source._client, lambda: now[0])
    odd.give_models(model("m"), versions=[version("m")])
    source.snapshot()
    odd.give_models(model("m"), versions=[version("m", tags=[{"key": "team", "value": "risk"}])])

    assert source.snapshot().models["m"].versions[1].tags == {}
    now[0] = 61.0
    assert source.snapshot().models["m"].versions[1].tags == {"team": "risk"}


def test_failure_between_two_calls_forgets_nothing(odd: OddServer, connect: Connect) -> None:
    """The versions that could not be read are asked for at the next look."""
    odd.give_models(model("m"), versions=[version("m")])
    source = connect()
    source.snapshot()
    odd.give_models(model("m", 2), versions=[version("m"), version("m", 2)])
    odd.give(VERSIONS, status(500), status(500), status(500), {"model_versions": [version("m"), version("m", 2)]})

    with pytest.raises(RegistryUnreachable):
        source.snapshot()

    assert sorted(source.snapshot().models["m"].versions) == [1, 2]


def test_description_is_no_reason_to_load_again(odd: OddServer, connect: Connect) -> None:
    """But a model that was deleted and made again is."""
    prints = []
    source = connect()
    for stamp, created in ((1, 1), (2, 1), (3, 2)):
        odd.give_models(model("m", stamp), versions=[version("m", last_updated_timestamp=stamp, creation_timestamp=created)])
        prints.append(source.snapshot().models["m"].versions[1].fingerprint)

    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("status_", ["PENDING_REGISTRATION", "FAILED_REGISTRATION"])
def test_version_that_is_not_registered_is_reported(odd: OddServer, connect: Connect, status_: str) -> None:
    """And seen as soon as it is, for it is asked for at every look."""
    odd.give_models(model("m"), versions=[version("m", status=status_), version("m", "x")])

    snapshot = connect().snapshot()

    assert dict(snapshot.models["m"].versions) == {}
    assert any(status_ in sentence for sentence in snapshot.ignored)
    assert any("m/x" in sentence for sentence in snapshot.ignored)


def test_files_get_the_names_of_our_layout(odd: OddServer, connect: Connect) -> None:
    """The graph is model.onnx, its data keep their names beside it, and MLflow's own files stay away."""
    mlmodel = b"flavors: {onnx: {data: net/best.onnx}}"
    odd.give_files({"MLmodel": mlmodel, "conda.yaml": b"c"}, [])
    entries = [{"path": name, "file_size": 1} for name in ("MLmodel", "conda.yaml")]
    inside = [{"path": name, "file_size": 5} for name in ("best.onnx", "best.data", "model.onnx")]
    odd.give(LISTED, {"files": [{"path": "net", "is_dir": True}, {"path": "MLmodel"}, *entries[1:]]}, {"files": inside})
    odd.give(f"{LISTED}/0/m/net/best.onnx", data(b"graph"))

    files = files_of(connect(), odd)

    assert sorted(file.name for file in files) == ["MLmodel", "best.data", "model.onnx"]
    assert read(files) == b"graph"
    assert [asked.query for asked in odd.asked if asked.path == LISTED] == ["path=0%2Fm", "path=0%2Fm%2Fnet"]


def test_manifest_among_the_artifacts_is_kept_alone(odd: OddServer, connect: Connect) -> None:
    """It lists what was there when the model was published, and MLflow's files came later."""
    odd.give_files({"MLmodel": MLMODEL, "model.onnx": GRAPH, "manifest.json": b"{}", "model.sig": b"s", "requirements.txt": b"r"})

    assert sorted(file.name for file in files_of(connect(), odd)) == ["manifest.json", "model.onnx", "model.sig"]


@pytest.mark.parametrize("path", ["../../secret.onnx", "/etc/passwd", "a\\b", "a//b", "", ".", "x" * 300, "a\x00b"])
@pytest.mark.parametrize("is_dir", [False, True])
def test_path_that_leads_elsewhere_is_refused(odd: OddServer, connect: Connect, path: str, is_dir: bool) -> None:
    """Before anything of the version is read."""
    odd.give_files({"MLmodel": MLMODEL}, [{"path": "MLmodel"}, {"path": path, "is_dir": is_dir}])

    with pytest.raises(BadArtifact, match="MLflow tells of the file"):
        files_of(connect(), odd)

    assert odd.paths()[-1] == LISTED


@pytest.mark.parametrize("root", ["mlflow-artifacts:/../../etc", "mlflow-artifacts:/0/../1", "mlflow-artifacts:"])
def test_location_that_leads_elsewhere_is_refused(odd: OddServer, connect: Connect, root: str) -> None:
    """Above all artifacts there is nothing for us."""
    odd.give("/api/2.0/mlflow/model-versions/get-download-uri", {"artifact_uri": root})

    with pytest.raises(BadArtifact, match="MLflow tells of the file"):
        files_of(connect(), odd)


@pytest.mark.parametrize(
    ("mlmodel", "words"),
    [
        (b"flavors: {sklearn: {}, python_function: {}}", "logged as 'python_function', 'sklearn', not as ONNX"),
        (b"flavors: {onnx: {data: ../../x.onnx}}", "no plain path"),
        (b"flavors: {onnx: {data: gone.onnx}}", "'gone.onnx', which is not there"),
        (b"flavors: []", "no flavors"),
        (b"- " * 5_000, "too deeply nested"),
        (b"a: b: c", "not valid YAML"),
        (b"\xff", "not valid YAML"),
        (b"#" * 1_100_000, "larger than"),
    ],
)
def test_bad_mlmodel_is_refused(odd: OddServer, connect: Connect, mlmodel: bytes, words: str) -> None:
    """With what is wrong with it."""
    odd.give_files({"MLmodel": mlmodel, "model.onnx": GRAPH})

    with pytest.raises(BadArtifact, match=words):
        files_of(connect(), odd)


def test_rest_of_mlmodel_is_only_text(odd: OddServer, connect: Connect) -> None:
    """A date that is none and a number without end stand in nobody's way, and cost nothing."""
    mlmodel = MLMODEL + b"utc_time_created: 2026-99-99\nmodel_size_bytes: " + b"9" * 5000
    odd.give_files({"MLmodel": mlmodel, "model.onnx": GRAPH})

    assert read(files_of(connect(), odd)) == GRAPH


def test_version_without_mlmodel_is_refused(odd: OddServer, connect: Connect) -> None:
    """It was registered by hand, from some folder."""
    odd.give_files({"model.onnx": GRAPH})

    with pytest.raises(BadArtifact, match="no file MLmodel"):
        files_of(connect(), odd)


def test_folders_without_end_are_refused(odd: OddServer, connect: Connect) -> None:
    """A listing that always holds one more."""
    odd.give_files({}, [{"path": "deeper", "is_dir": True}])

    with pytest.raises(BadArtifact, match="more than"):
        files_of(connect(), odd)


def test_files_without_number_are_refused(odd: OddServer, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model has a few."""
    monkeypatch.setattr(mlflow_artifacts, "_MAX_FILES", 2)
    odd.give_files({"MLmodel": MLMODEL, "model.onnx": GRAPH, "more": b""})

    with pytest.raises(BadArtifact, match="more than 2 files"):
        files_of(connect(), odd)


def test_download_goes_on_where_it_broke_off(odd: OddServer, connect: Connect) -> None:
    """With what is missing, when the server can tell parts apart."""
    odd.give_files({"MLmodel": MLMODEL, "model.onnx": GRAPH})
    rest = f"bytes {BEGUN_BYTES}-{len(GRAPH) - 1}/{len(GRAPH)}"
    odd.give(
        f"{LISTED}/0/m/model.onnx",
        data(GRAPH[:BEGUN_BYTES], length=len(GRAPH), etag="a"),
        data(GRAPH[BEGUN_BYTES:], 206, etag="a", content_range=rest),
    )

    assert read(files_of(connect(), odd)) == GRAPH
    assert odd.asked[-1].headers["range"] == f"bytes={BEGUN_BYTES}-"


def test_download_begins_again_where_parts_are_not_served(odd: OddServer, connect: Connect) -> None:
    """What is here already is skipped."""
    odd.give_files({"MLmodel": MLMODEL, "model.onnx": GRAPH})
    odd.give(f"{LISTED}/0/m/model.onnx", data(GRAPH[:BEGUN_BYTES], length=len(GRAPH)), data(GRAPH))

    assert read(files_of(connect(), odd)) == GRAPH


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (data(GRAPH, etag="b"), "changed a file"),
        (data(GRAPH, 206, etag="a", content_range=f"bytes 0-{len(GRAPH) - 1}/{len(GRAPH)}"), "another part"),
        (data(GRAPH, 206, etag="a"), "another part"),
        (data(GRAPH[:BEGUN_BYTES], etag="a", length=len(GRAPH)), "cannot be reached"),
    ],
)
def test_two_halves_of_different_files_are_none(odd: OddServer, connect: Connect, second: Any, words: str) -> None:
    """The load fails, and is tried again."""
    odd.give_files({"MLmodel": MLMODEL, "model.onnx": GRAPH})
    odd.give(f"{LISTED}/0/m/model.onnx", data(GRAPH[:BEGUN_BYTES], length=len(GRAPH), etag="a"), second)

    with pytest.raises(RegistryUnreachable, match=words):
        read(files_of(connect(), odd))


def test_file_of_another_size_than_told_is_refused(odd: OddServer, connect: Connect) -> None:
    """Longer never becomes right; shorter may, for the connection may have ended."""
    odd.give_files({"MLmodel": MLMODEL, "model.onnx": GRAPH})
    files = files_of(connect(), odd)
    odd.give(f"{LISTED}/0/m/model.onnx", data(GRAPH + b"!"), data(GRAPH[:-1]))

    with pytest.raises(BadArtifact, match="more than the 5000 bytes"):
        read(files)
    with pytest.raises(RegistryUnreachable, match="after 4999 of 5000 bytes"):
        read(files)


def test_logged_model_is_looked_up(odd: OddServer, connect: Connect) -> None:
    """Where the registry and the store of MLflow 3's models are two."""
    odd.give_files({"MLmodel": MLMODEL, "model.onnx": GRAPH})
    odd.give("/api/2.0/mlflow/model-versions/get-download-uri", {"artifact_uri": "models:/m-1a2b"})
    odd.give("/api/2.0/mlflow/logged-models/m-1a2b", {"model": {"info": {"artifact_uri": "mlflow-artifacts:/0/m"}}})

    assert read(files_of(connect(), odd)) == GRAPH


def test_files_on_a_shared_disk_are_read_there(odd: OddServer, connect: Connect, tmp_path: Path) -> None:
    """A link among them leads nowhere."""
    root = tmp_path / "a b"
    root.mkdir()
    (root / "MLmodel").write_bytes(MLMODEL)
    (root / "model.onnx").write_bytes(GRAPH)
    (tmp_path / "outside").write_bytes(b"secret")
    (root / "link.data").symlink_to(tmp_path / "outside")
    odd.give("/api/2.0/mlflow/model-versions/get-download-uri", {"artifact_uri": root.as_uri()}, {"artifact_uri": str(root)})

    files = files_of(connect(), odd)

    assert read(files) == GRAPH
    assert read(files_of(connect(), odd)) == GRAPH
    with pytest.raises(BadArtifact, match="link"):
        read(files, "link.data")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("file:///nowhere/at/all", "a disk that this machine does not see"),
        ("file://another-host/models", "of the kind 'file'"),
        ("dbfs:/models/1", "of the kind 'dbfs', which is not read"),
        ("runs:/1/model", "of the kind 'runs'"),
        ("relative/path", "of the kind ''"),
    ],
)
def test_location_that_is_not_read_is_named(odd: OddServer, connect: Connect, location: str, words: str) -> None:
    """Its kind, for the rest may be a path."""
    odd.give("/api/2.0/mlflow/model-versions/get-download-uri", {"artifact_uri": location})

    with pytest.raises(BadArtifact, match=words) as refused:
        files_of(connect(), odd)

    assert "nowhere" not in str(refused.value)


def test_location_in_a_bucket_goes_to_the_object_store(odd: OddServer, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 and GCS by their URI; Azure by its container, for the account is one of the credentials."""
    opened: list[str] = []
    monkeypatch.setattr(mlflow_artifacts, "Bucket", opened.append)
    source = connect()

    for location in ("s3://b/m", "gs://b/m", "wasbs://c@account.blob.core.windows.net/m", "abfss://c@account.dfs.core.windows.net/m"):
        mlflow_artifacts.artifacts_at(location, source._client)

    assert opened == ["s3://b/m", "gs://b/m", "az://c/m", "az://c/m"]


def test_token_is_shown_to_the_server_that_was_named_and_to_no_other(odd: OddServer, connect: Connect) -> None:
    """Not to the host that a location names, which who registers a model may choose."""
    other = f"localhost:{odd.server_port}"
    odd.give_files({"MLmodel": MLMODEL, "model.onnx": GRAPH})
    odd.give("/api/2.0/mlflow/model-versions/get-download-uri", {"artifact_uri": f"mlflow-artifacts://{other}/0/m"})

    read(files_of(connect(MLFLOW_TRACKING_TOKEN="t0ken", MLFLOW_WORKSPACE="team"), odd))

    shown = {
        (asked.headers["host"] == other, asked.headers.get("authorization"), asked.headers.get("x-mlflow-workspace")) for asked in odd.asked
    }
    assert shown == {(False, "Bearer t0ken", "team"), (True, None, None)}


def test_name_and_password_come_before_the_token(odd: OddServer, connect: Connect) -> None:
    """As MLflow's own client has it."""
    odd.give_models(versions=[])
    connect(MLFLOW_TRACKING_USERNAME="ann", MLFLOW_TRACKING_PASSWORD="pässword", MLFLOW_TRACKING_TOKEN="t").snapshot()

    scheme, _, text = odd.asked[0].headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(text).decode()) == ("Basic", "ann:pässword")


def test_prefix_of_the_address_is_kept(odd: OddServer, connect: Connect) -> None:
    """For a server behind a proxy."""
    odd.give(f"/ml/flow{MODELS}", {})
    odd.give(f"/ml/flow{VERSIONS}", {})
    connect(f"{odd.uri}/ml/flow/").snapshot()

    assert odd.paths() == [f"/ml/flow{MODELS}", f"/ml/flow{VERSIONS}"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(403, "PERMISSION_DENIED", "Permission denied"), ReadOnlyRegistry),
        (status(401), ReadOnlyRegistry),
        (status(405), ReadOnlyRegistry),
        (status(404, "RESOURCE_DOES_NOT_EXIST", "no such version"), NotFound),
        (status(400, "INVALID_PARAMETER_VALUE", "reserved"), RegistryUnreachable),
        (status(500), RegistryUnreachable),
    ],
)
@pytest.mark.parametrize("number", [3, None])
def test_alias_that_mlflow_does_not_move_stays(odd: OddServer, connect: Connect, answer: Any, error: type[Exception], number: Any) -> None:
    """And the error tells who may move it, or what is missing."""
    odd.give(ALIAS, answer)

    with pytest.raises(error, match="MLflow at"):
        connect().set_alias("m", "champion", number)

    assert odd.asked[0].method == ("DELETE" if number is None else "POST")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that it signed itself, and its key, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=odd", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "certificate.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return both


def test_certificates_are_checked_both_ways(odd: OddServer, connect: Connect, certificate: Path) -> None:
    """By the variables of MLflow's own client."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate)
    context.load_cert_chain(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    odd.over_tls(context)
    odd.give_models(versions=[])
    ours = {"MLFLOW_TRACKING_CLIENT_CERT_PATH": str(certificate)}

    assert connect(MLFLOW_TRACKING_SERVER_CERT_PATH=str(certificate), **ours).snapshot().models == {}
    assert connect(MLFLOW_TRACKING_INSECURE_TLS="true", **ours).snapshot().models == {}
    with pytest.raises(RegistryUnreachable, match="certificate verify failed"):
        connect(**ours).snapshot()
    with pytest.raises(RegistryUnreachable, match="cannot be reached"):
        connect(MLFLOW_TRACKING_SERVER_CERT_PATH=str(certificate)).snapshot()
