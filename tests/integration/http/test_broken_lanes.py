"""A device that fails whatever it is given: callers are told to come back, over both transports, and it is taken into use again."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import GOOD, Serving, until

Sample = Callable[[str], float]


@pytest.fixture
def ill(tmp_path: Path) -> Path:
    """The file that makes every run fail while it is there."""
    return tmp_path / "ill"


@pytest.fixture
def serving(registry: Path, tmp_path: Path) -> Iterator[Serving]:
    """A server of one lane, whose models fail at a test's word."""
    serving = Serving(registry, tmp_path)
    serving.command = [sys.executable, Path(__file__).with_name("ailing_server.py")]
    try:
        serving.start("defaults.lanes=1", 'models.slow.warmup="off"')
        yield serving
        serving.assert_balanced()
        serving.stop()
    finally:
        serving.kill()


def figure(serving: Serving, start: str) -> float:
    """Return the sample of the metrics that begins so, 0 if there is none."""
    lines = serving.admin.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(start)), 0.0)


def test_callers_hear_unavailable_until_the_lane_is_sound_again(serving: Serving, ill: Path) -> None:
    """Nobody's input is blamed, for the warm-up input fails too; further requests are refused at once, with the time to come back."""
    labels = '{model="id_fp32",version="1"}'
    ill.touch()

    unlucky = serving.http.infer("id_fp32", GOOD)
    refused = serving.http.infer("id_fp32", GOOD)
    called = serving.grpc.infer("id_fp32", GOOD)
    (report,) = serving.admin.get("/admin/models/id_fp32", headers=serving.authorized).json()["versions"]

    assert [answer.family for answer in (unlucky, refused, called)] == ["UNAVAILABLE"] * 3
    assert "even its warm-up input fails" in refused.text
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert (report["broken_lanes"], report["lanes"]) == (1, 1)
    assert report["queue"]["refused"] == {"lanes": 2}
    assert figure(serving, f"penstock_lanes_broken{labels}") == 1
    assert figure(serving, 'penstock_refusals_total{model="id_fp32",shortage="lanes"') == 2

    ill.unlink()
    until(lambda: serving.http.infer("id_fp32", GOOD).family == "OK")

    assert figure(serving, f"penstock_lanes_broken{labels}") == 0
