"""A real server sees drift, tells of it, and forgets nothing over a restart."""

from pathlib import Path
from types import ModuleType

from click.testing import CliRunner
from drift_site import FEATURES, Site, rows_of

from penstock.cli.main import commands


def test_half_a_deviation_in_one_of_64_features_is_told_within_2000_rows(site: Site) -> None:
    """By name: in the report, as an event, and as a metric; and told again once it is over."""
    site.send("published", rows_of(2, 1000))
    before = site.windows("published", 1)
    assert before["drifting"] == {}

    site.send("published", rows_of(3, 2000, shift=0.5))

    told = site.windows("published", 3)
    assert list(told["drifting"]) == ["X.7"]
    assert "ks" in told["drifting"]["X.7"]
    (event,) = site.events("published", 1)
    assert (event["what"], event["before"], event["after"]) == ("drift of version 1, stable, inputs", "none drifts", "1 drift: 'X.7'")
    assert event["why"].startswith("'X.7' has ")
    metrics = site.server.metrics()
    assert 'penstock_drift_features_drifting{model="published",route="stable",side="inputs",version="1"} 1.0' in metrics
    assert 'penstock_drift_ks{feature="X.7",model="published",route="stable",version="1"}' in metrics

    site.send("published", rows_of(4, 1000))
    assert site.windows("published", 4)["drifting"] == {}
    assert site.events("published", 2)[-1]["why"] == "as in the reference again: 'X.7'"


def test_features_with_metrics_are_as_many_as_exported_features_outputs_first(site: Site) -> None:
    """A model with many features must not make series without end."""
    site.send("published", rows_of(5, 1000))
    site.windows("published", site.drift("published")["outputs"]["arms"]["stable"]["windows"], "outputs")

    lines = [line for line in site.server.metrics().splitlines() if line.startswith("penstock_drift_psi{feature=")]
    features = [line.split('"')[1] for line in lines if 'model="published"' in line]

    assert len(features) == FEATURES
    assert features[0] == "prediction.Y"


def test_version_without_a_reference_is_not_watched(site: Site) -> None:
    """Unless the settings ask for it: nobody pays for what nobody wants."""
    site.send("same", rows_of(6, 500))

    told = site.drift("same")

    assert (told["mode"], told["inputs"]["watched"], told["inputs"]["reference"], told["inputs"]["arms"]) == ("published", False, None, {})


def test_version_that_is_given_a_reference_while_it_serves_is_watched_from_then_on(site: Site, registry: Path, sample: Path) -> None:
    """The server finds the file beside the version, and loads it again; the version is the same."""
    assert not site.drift("later")["inputs"]["watched"]
    words = ["models", "reference", "later:1", "--from", str(sample), "--registry", str(registry)]
    result = CliRunner().invoke(commands, words)
    assert result.exit_code == 0, result.output

    told = site.until(lambda: site.drift("later"), lambda told: told["inputs"]["watched"])

    assert told["inputs"]["reference"] == {"origin": "published", "rows": 2000, "features": FEATURES}
    assert told["outputs"]["reference"] == {"origin": "published", "rows": 2000, "features": 1}


def test_report_is_for_whoever_has_the_token_and_of_models_that_there_are(site: Site) -> None:
    """Names of features and their figures are nobody else's business."""
    path = "/admin/models/{}/monitoring"

    assert site.admin.get(path.format("published"), headers={"authorization": ""}).status_code == 401
    assert site.admin.get(path.format("nothing")).status_code == 404
    assert site.client.get(path.format("published")).status_code == 404


def test_redacted_inputs_are_not_watched_and_the_report_says_so(site: Site) -> None:
    """Their outputs are."""
    site.send("private", rows_of(7, 1000))

    told = site.until(lambda: site.drift("private"), lambda told: bool((told["outputs"]["reference"] or {}).get("features")))

    assert told["unwatched"] == {"X": "payloads.redact touches it; name it in monitoring to have its numbers counted"}
    assert not told["inputs"]["watched"]


def test_pinned_requests_count_for_the_version_that_they_name(site: Site) -> None:
    """As they do in other metrics: for its stable arm."""
    site.send("gathered", rows_of(8, 1000), path="/versions/1")
    site.gathered("gathered")
    site.send("gathered", rows_of(9, 500), path="/versions/1")

    assert site.windows("gathered", 1)["drifting"] == {}


def test_gathered_reference_outlives_the_server(site: Site, registry: Path, home: Path, server_process: ModuleType, tmp_path: Path) -> None:
    """Another process goes on with it, for the same files; what the first rows were is not asked again."""
    site.send("gathered", rows_of(8, 1000))
    site.gathered("gathered")
    state = tmp_path / "state"
    state.symlink_to(home / "state")

    with server_process.running(registry, tmp_path, "registry.poll_s=0") as server, Site(server) as other:
        assert other.drift("gathered")["inputs"]["reference"] == {"origin": "live", "rows": 1000, "features": FEATURES}
        other.send("gathered", rows_of(9, 500, shift=1.0))
        assert list(other.windows("gathered", 1)["drifting"]) == ["X.7"]
