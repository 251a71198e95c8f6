"""A publisher that is killed, wherever it is, and publishers that come at once."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.registry.candidate import Candidate
from penstock.registry.options import RegistryOptions
from penstock.registry.publisher import Labels, manifest_of, publish
from penstock.registry.publishers import publisher_of
from penstock.registry.sources import source_of

DRIVER = Path(__file__).with_name("publish_and_die.py")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("most", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_killed_publisher_leaves_no_version_that_is_not_whole(uri: str, build: Path, most: int) -> None:
    """Before and after each call into the system, and at random moments: either nothing is listed, or a version that loads.

    With its model's configuration in place, too.
    """
    (build / "config.pbtxt").write_text("max_batch_size: 8")
    done = subprocess.run([sys.executable, DRIVER, uri, build, str(most)], capture_output=True, text=True, timeout=380, check=False)

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["killed"] == most
    assert (seen["broken"], seen["ignored"], seen["published_afterwards"]) == ([], [], True)
    assert seen["listed"] < seen["killed"]


def test_two_publishers_at_once_get_two_versions(uri: str, candidate: Candidate) -> None:
    """Both are whole, each under a number of its own."""
    publishers = [publisher_of(source_of(RegistryOptions(uri=uri), {})) for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        numbers = list(pool.map(lambda publisher: publish(publisher, "m", candidate, Labels(), lambda _: None), publishers * 2))

    source = source_of(RegistryOptions(uri=uri), {})
    model = source.snapshot().models["m"]
    said = {manifest.version for version in model.versions.values() if (manifest := manifest_of(source, model, version))}
    assert sorted(numbers) == sorted(model.versions) == sorted(said) == [1, 2, 3, 4]


@pytest.mark.parametrize("uri", ["s3"], indirect=True)
def test_two_commands_at_once_get_two_versions(uri: str, build: Path, penstock: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    """As two jobs of a pipeline would run them."""
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(penstock, "models", "publish", build, "--name", "m", "--again", "--registry", uri, "--json") for _ in range(2)]
        done = [job.result() for job in jobs]

    assert [job.returncode for job in done] == [0, 0], [job.stderr for job in done]
    assert sorted(json.loads(job.stdout)["version"] for job in done) == [1, 2]
