"""The bill of materials holds what the lock files hold, and names nothing twice."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    """The script."""
    return load(ROOT / "requirements" / "sbom.py")


@pytest.fixture(scope="module", params=["serve.txt", "serve-gpu.txt"])
def lock(request: pytest.FixtureRequest) -> str:
    """The text of a lock."""
    return (ROOT / "requirements" / request.param).read_text("utf-8")


def test_each_release_and_each_hash_of_the_lock_is_in_it(sbom: ModuleType, lock: str) -> None:
    """None is left out, and none added."""
    document = sbom.document(lock)

    pins = [line.split()[0] for line in lock.splitlines() if "==" in line and not line.startswith("#")]
    assert [f"{each['name']}=={each['version']}" for each in document["components"]] == pins
    assert len(pins) > 20
    assert sum(len(each["externalReferences"]) for each in document["components"]) == lock.count("--hash=sha256:")


def test_document_is_well_formed(sbom: ModuleType, lock: str) -> None:
    """References lead to what is there, once (CycloneDX 1.6); one lock gives one document."""
    document: dict[str, Any] = sbom.document(lock)
    refs = [document["metadata"]["component"]["bom-ref"], *(each["bom-ref"] for each in document["components"])]

    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert len(refs) == len(set(refs))
    assert [each["ref"] for each in document["dependencies"]] == refs
    assert all(ref in refs for each in document["dependencies"] for ref in each["dependsOn"])
    assert all(len(each["hashes"][0]["content"]) == 64 for part in document["components"] for each in part["externalReferences"])
    assert document == sbom.document(lock)


def test_build_tools_are_no_part_of_what_serves(sbom: ModuleType, lock: str) -> None:
    """They are those that the image removes again."""
    image = (ROOT / "docker" / "Dockerfile").read_text("utf-8")
    removed = image.split("pip uninstall --yes ")[1].split("\n")[0].removesuffix("\\").split()

    excluded = [each["name"] for each in sbom.document(lock)["components"] if each["scope"] == "excluded"]

    assert sorted([*excluded, "pip"]) == sorted(removed)


def test_line_that_is_no_pin_is_told(sbom: ModuleType) -> None:
    """A bill that leaves something out would be worse than none."""
    with pytest.raises(ValueError, match="no pin: 'click>=8'"):
        list(sbom.pins_of("click>=8\n"))
