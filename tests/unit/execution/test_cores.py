"""The cores that a process may use."""

import os
from pathlib import Path

import pytest

from penstock.execution.cores import usable_cores


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process be allowed on eight cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def cores_of(root: Path, files: dict[str, str], own: str = "4:cpu,cpuacct:/\n0::/\n") -> int:
    """Return the cores that a process in these groups may use."""
    for name, text in {**files, "own": own}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return usable_cores(root, root / "own")


V1_QUOTA, V1_PERIOD = "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"
UNIT = "system.slice/penstock.service"


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("files", "cores"),
    [
        pytest.param({}, 8, id="no-cgroup"),
        pytest.param({"cpu.max": "max 100000\n"}, 8, id="v2-without-quota"),
        pytest.param({"cpu.max": "200000 100000\n"}, 2, id="v2-two-cores"),
        pytest.param({"cpu.max": "250000 100000\n"}, 3, id="v2-fraction-rounds-up"),
        pytest.param({"cpu.max": "10000 100000\n"}, 1, id="v2-less-than-one"),
        pytest.param({"cpu.max": "9000000 100000\n"}, 8, id="v2-more-than-affinity"),
        pytest.param({"cpu.max": ""}, 8, id="v2-empty-file"),
        pytest.param({V1_QUOTA: "-1\n", V1_PERIOD: "100000\n"}, 8, id="v1-without-quota"),
        pytest.param({V1_QUOTA: "300000\n", V1_PERIOD: "100000\n"}, 3, id="v1-three-cores"),
        pytest.param({V1_QUOTA: "300000\n"}, 8, id="v1-half-there"),
    ],
)
def test_cores_are_the_smaller_of_affinity_and_quota(tmp_path: Path, files: dict[str, str], cores: int) -> None:
    """A container's quota counts, rounded up, and at least one core is left."""
    assert cores_of(tmp_path, files) == cores


def test_affinity_counts_where_the_quota_is_larger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process pinned to one core has one, whatever its container may use."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})

    assert cores_of(tmp_path, {"cpu.max": "400000 100000"}) == 1


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("files", "own"),
    [
        pytest.param({f"{UNIT}/cpu.max": "200000 100000"}, f"0::/{UNIT}\n", id="v2-its-own"),
        pytest.param({"system.slice/cpu.max": "200000 100000", f"{UNIT}/cpu.max": "400000 100000"}, f"0::/{UNIT}\n", id="v2-above"),
        pytest.param(
            {f"cpu/one/{name[4:]}": text for name, text in ((V1_QUOTA, "200000"), (V1_PERIOD, "100000"))}, "4:cpu,cpuacct:/one\n", id="v1"
        ),
        pytest.param({"cpu.max": "200000 100000"}, "0::/docker/abc\n", id="container"),
    ],
)
def test_quota_of_any_group_that_holds_the_process_counts(tmp_path: Path, files: dict[str, str], own: str) -> None:
    """The least of them: as of a unit of systemd, whose root has no quota, or of a container, which sees its group as the root."""
    assert cores_of(tmp_path, files, own) == 2
