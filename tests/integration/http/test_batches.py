"""What a server tells of its queues after some traffic: the latest batches, the measured speed, and the metrics of both."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving import GOOD, Serving, until

ASKED: Final = 12
BROWSER: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
SLOW: Final = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [2.0]}]}
PAGE: Final = "/admin/models/id_fp32/batches"


@pytest.fixture(scope="module")
def serving(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server whose model id_fp32 has answered some requests, one after the other."""
    with Serving(registry, tmp_path_factory.mktemp("batches")).during('models.slow.warmup="off"') as serving:
        for _ in range(ASKED):
            assert serving.http.infer("id_fp32", GOOD).family == "OK"
        yield serving


def told(serving: Serving, path: str) -> Any:
    """Return what the admin listener answers to somebody who has the token."""
    response = serving.admin.get(path, headers=serving.authorized)
    assert response.status_code == 200, response.text
    return response.json()


def samples(serving: Serving) -> dict[tuple[str, str], float]:
    """Return the samples of the metrics by name and model, those of a model added up."""
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(serving.admin.get("/metrics").text):
        for sample in family.samples:
            key = sample.name, sample.labels.get("model", "")
            found[key] = found.get(key, 0.0) + sample.value
    return found


def test_every_batch_is_told(serving: Serving) -> None:
    """One request after the other finds its lane idle, or fills the batch where batching does not pay."""
    model = told(serving, PAGE)

    (version,) = model["versions"]
    assert (model["name"], version["version"]) == ("id_fp32", "1")
    assert version["summary"]["batches"] == len(version["batches"]) == ASKED
    assert set(version["summary"]["share"]) <= {"idle", "full"}
    assert sum(version["summary"]["share"].values()) == 1
    for batch in version["batches"]:
        assert (batch["device"], batch["rows"], batch["requests"], batch["padding"]) == ("cpu", 1, 1, 0)
        assert batch["real_ms"] > 0
        assert batch["predicted_ms"] > 0
        assert batch["failed"] is False
    times = [batch["at"] for batch in version["batches"]]
    assert times == sorted(times, reverse=True)


def test_limit_and_version_choose(serving: Serving) -> None:
    """The latest so many, of one version."""
    latest, *_ = told(serving, PAGE)["versions"][0]["batches"]

    (version,) = told(serving, f"{PAGE}?limit=1&version=1")["versions"]

    assert version["batches"] == [latest]


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        (f"{PAGE}?limit=0", 400, "limit is '0'"),
        (f"{PAGE}?limit=201", 400, "1 to 200"),
        (f"{PAGE}?limit=x", 400, "limit"),
        (f"{PAGE}?version=7", 404, "version 7"),
        (f"{PAGE}?version=01", 400, "'01'"),
        ("/admin/models/nobody/batches", 404, "nobody"),
    ],
)
def test_senseless_questions_are_refused(serving: Serving, path: str, status: int, word: str) -> None:
    """The answer names what was wrong."""
    response = serving.admin.get(path, headers=serving.authorized)

    assert response.status_code == status
    assert word in response.json()["error"]


def test_token_is_asked_for(serving: Serving) -> None:
    """As by the neighbours; on the prediction listener there is no such path."""
    assert serving.admin.get(PAGE).status_code == 401
    assert serving.admin.get(PAGE, headers={"authorization": "Bearer wrong"}).status_code == 401
    assert serving.client.get(PAGE, headers=serving.authorized).status_code == 404


def test_browser_gets_a_page_that_holds_nothing_secret(serving: Serving) -> None:
    """The page itself asks for the token; all that it is made of comes from here."""
    page = serving.admin.get(PAGE, headers={"accept": BROWSER})

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["vary"] == "accept"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "id_fp32" not in page.text
    for name in ("docs.css", "batches.css", "batches.js", "dom.js", "server.js"):
        part: httpx2.Response = serving.admin.get(f"/admin/assets/{name}")
        assert (part.status_code, part.headers["x-content-type-options"]) == (200, "nosniff")


def test_measured_speed_is_told(serving: Serving) -> None:
    """Warm-up has measured each size; live runs have been observed."""
    (version,) = told(serving, "/admin/models/id_fp32")["versions"]

    (cpu,) = version["latency"]
    assert (version["unit"], version["broken_lanes"], cpu["device"]) == ("rows", 0, "cpu")
    assert cpu["runs"] >= ASKED
    assert [row["size"] for row in cpu["table"]][:2] == [1, 2]
    assert all(row["measured_us"] > 0 and row["predicted_us"] > 0 for row in cpu["table"])
    assert 0 <= cpu["batchability"] <= 1 <= cpu["spread"]
    assert 1 <= cpu["full"] <= 64
    assert version["queue"] == {"requests": 0, "rows": 0, "bytes": 0, "overloaded": False, "refused": {}, "expired": {}}


def test_metrics_say_the_same(serving: Serving) -> None:
    """Batches, their sizes and errors, and the speed."""
    seen = samples(serving)

    assert seen["penstock_batches_total", "id_fp32"] == ASKED
    assert seen["penstock_run_size_total", "id_fp32"] == ASKED
    assert seen["penstock_padding_total", "id_fp32"] == 0
    assert seen["penstock_run_error_ratio_count", "id_fp32"] == ASKED
    assert seen["penstock_run_alpha_seconds", "id_fp32"] >= 0
    assert seen["penstock_run_beta_seconds", "id_fp32"] > 0
    assert seen["penstock_full_size", "id_fp32"] >= 1
    # Nothing was measured of this one.
    assert ("penstock_run_alpha_seconds", "slow") not in seen
    assert seen["penstock_lanes", "slow"] == 1


def test_refusals_and_expiries_are_counted_with_their_cause(serving: Serving) -> None:
    """One request has no time to wait for its turn; one comes when as many wait as may."""
    with ThreadPoolExecutor(4) as pool:
        pool.submit(serving.http.infer, "slow", SLOW)
        until(lambda: serving.in_flight("slow") == 1)
        hasty = serving.http.infer("slow", {**SLOW, "parameters": {"timeout": 50_000}})
        others = [pool.submit(serving.http.infer, "slow", SLOW) for _ in range(3)]
        crowd = serving.http.infer("slow", SLOW)
        families = [other.result().family for other in others] + [crowd.family]
    (version,) = told(serving, "/admin/models/slow")["versions"]
    lines = serving.admin.get("/metrics").text.splitlines()

    refused = families.count("RESOURCE_EXHAUSTED")
    assert hasty.family == "DEADLINE_EXCEEDED"
    assert refused >= 1
    assert version["queue"]["refused"] == {"rows": refused}
    assert version["queue"]["expired"] == {"passed": 1}
    assert f'penstock_refusals_total{{model="slow",shortage="rows",version="1"}} {refused}.0' in lines
    assert 'penstock_expired_total{cause="passed",model="slow",version="1"} 1.0' in lines
