"""The source over a real MLflow server, with models that MLflow logged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

from penstock.cli.models_facts import summary_of
from penstock.domain.errors import BadArtifact, NotFound
from penstock.registry.cache import Cache
from penstock.registry.mlflow import MlflowSource
from penstock.registry.options import RegistryOptions
from penstock.registry.verified import VerifiedRegistry


@pytest.fixture
def source(mlflow: Any) -> Iterator[MlflowSource]:
    """A source over the server."""
    source = MlflowSource(mlflow.server.uri, {})
    yield source
    source.close()


def test_versions_aliases_tags_and_lineage_are_read(mlflow: Any, source: MlflowSource) -> None:
    """As MLflow's own API has set them."""
    logged = mlflow.log("credit", 2.0)
    older = mlflow.registrar.order("log_run_artifacts", "credit", 3.0)
    mlflow.call("set_registered_model_alias", "credit", "challenger", "2")
    mlflow.call("set_model_version_tag", "credit", "1", "team", "risk")

    model = source.snapshot().models["credit"]

    assert dict(model.aliases) == {"challenger": 2}
    assert sorted(model.versions) == [1, 2]
    assert model.versions[1].tags == {"team": "risk"}
    assert model.versions[1].lineage == {
        "source": f"models:/{logged['model_id']}",
        "run_id": logged["run_id"],
        "model_id": logged["model_id"],
    }
    assert model.versions[2].lineage["run_id"] == older["run_id"]
    assert summary_of(source, model, model.versions[1])["size_bytes"] is None  # which MLflow does not tell
    assert all(version.complete and not version.problem for version in model.versions.values())


def test_a_model_that_was_logged_as_artifacts_of_a_run_is_opened(mlflow: Any, source: MlflowSource, tmp_path: Path) -> None:
    """As it was done before MLflow 3, and is by those who log whole folders."""
    mlflow.registrar.order("log_run_artifacts", "churn", 3.0)
    registry = VerifiedRegistry(source, Cache(tmp_path))
    model = registry.snapshot().models["churn"]

    artifact = registry.open(model, model.versions[1])

    assert onnx.load(artifact.path).graph.name == "multiplier"
    artifact.close()


def test_external_data_and_the_signature_come_along(mlflow: Any, source: MlflowSource, tmp_path: Path) -> None:
    """Weights that MLflow wrote into a file of their own, and `MLmodel`, which names the features."""
    mlflow.log("wide", 2.0, width=1000)
    registry = VerifiedRegistry(source, Cache(tmp_path), RegistryOptions())
    model = registry.snapshot().models["wide"]

    artifact = registry.open(model, model.versions[1])

    assert artifact.size_bytes > 4000
    weights = onnx.numpy_helper.to_array(onnx.load(artifact.path).graph.initializer[0])
    assert weights.tolist() == [2.0] * 1000
    assert '"name": "x"' in artifact.path.with_name("MLmodel").read_text()
    assert "run_id" in artifact.lineage
    artifact.close()


def test_another_flavour_is_refused_with_what_to_do(mlflow: Any, source: MlflowSource) -> None:
    """And does not keep the others from being served."""
    mlflow.registrar.order("log_python", "doubler")
    model = source.snapshot().models["doubler"]

    with pytest.raises(BadArtifact, match=r"logged as 'python_function', not as ONNX.*mlflow.onnx.log_model"):
        source.files(model, model.versions[1])


def test_aliases_are_moved_and_removed_in_mlflow(mlflow: Any, source: MlflowSource) -> None:
    """By a call of ours that MLflow takes."""
    mlflow.log("moved", 2.0)

    source.set_alias("moved", "champion", 1)
    assert mlflow.call("get_model_version_by_alias", "moved", "champion")["version"] == "1"

    source.set_alias("moved", "champion", None)
    assert dict(source.snapshot().models["moved"].aliases) == {}


@pytest.mark.parametrize(("model", "number"), [("absent", 1), ("moved-not", 99)])
def test_alias_of_what_is_not_there_is_refused(mlflow: Any, source: MlflowSource, model: str, number: int) -> None:
    """With MLflow's own words."""
    mlflow.call("create_registered_model", f"{model}-{number}")

    with pytest.raises(NotFound, match="not found"):
        source.set_alias(model, "champion", number)


def test_deleted_version_is_gone(mlflow: Any, source: MlflowSource) -> None:
    """From the next look on, and for who still has the listing."""
    mlflow.log("deleted", 2.0)
    before = source.snapshot().models["deleted"]
    mlflow.call("delete_model_version", "deleted", "1")

    assert dict(source.snapshot().models["deleted"].versions) == {}
    with pytest.raises(BadArtifact, match="no longer in the registry"):
        source.files(before, before.versions[1])


def test_odd_names_are_reported_and_left_out(mlflow: Any, source: MlflowSource) -> None:
    """MLflow takes spaces in names and numbers as aliases; we do not."""
    mlflow.call("create_registered_model", "my model")
    mlflow.log("named", 2.0)
    mlflow.call("set_registered_model_alias", "named", "2026", "1")

    snapshot = source.snapshot()

    assert "my model" not in snapshot.models
    assert dict(snapshot.models["named"].aliases) == {}
    assert any("'my model': not a valid model name" in sentence for sentence in snapshot.ignored)
    assert any("'2026'" in sentence for sentence in snapshot.ignored)
