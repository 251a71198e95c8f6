"""From the registry's URI to what reads it."""

import sys
from pathlib import Path

import pytest

from penstock.registry.directory import DirectorySource
from penstock.registry.options import RegistryOptions
from penstock.registry.source import RegistryUnreachable
from penstock.registry.sources import registry_of, source_of


@pytest.mark.parametrize("uri", ["/models/my registry", "file:///models/my%20registry"])
def test_path_and_file_uri_are_a_directory(uri: str) -> None:
    """Both lead to the same one, under one name."""
    source = source_of(RegistryOptions(uri=uri), {})

    assert isinstance(source, DirectorySource)
    assert (source.root, source.uri) == (Path("/models/my registry"), "file:///models/my%20registry")


@pytest.mark.parametrize("uri", ["s3://bucket/prefix", "mlflow+http://host:5000", "mlflow+https://host"])
def test_remote_registry_has_a_source_that_connects_later(uri: str) -> None:
    """A start with the registry down gets as far as the cache."""
    assert source_of(RegistryOptions(uri=uri), {}).uri == uri


@pytest.mark.parametrize("uri", ["http://user:pw@host", "hdfs://x", "models:/fraud@champion"])
def test_other_kinds_are_refused_with_those_that_there_are(uri: str) -> None:
    """No password is repeated."""
    with pytest.raises(RegistryUnreachable, match=r"is of a kind that is not known; use a path, file:, s3") as refused:
        source_of(RegistryOptions(uri=uri), {})

    assert "pw" not in str(refused.value)


@pytest.mark.parametrize("uri", ["http://[::1", "s3://u:pw@[bucket"])
def test_uri_that_cannot_be_read_is_refused(uri: str) -> None:
    """As any other registry that there is not; no password is repeated."""
    with pytest.raises(RegistryUnreachable, match="neither a path nor a URI that can be read") as refused:
        source_of(RegistryOptions(uri=uri), {})

    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(("uri", "module", "extra"), [("s3://b", "obstore", "s3"), ("mlflow+http://h", "httpx2", "mlflow")])
def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, uri: str, module: str, extra: str) -> None:
    """With the command that installs it."""
    for name in [name for name in sys.modules if name.startswith(("penstock.registry.mlflow", "penstock.registry.object_store"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(RegistryUnreachable, match=rf"pip install 'penstock\[{extra}\]'"):
        source_of(RegistryOptions(uri=uri), {})


def test_cache_lies_in_the_state_directory_unless_it_is_set(tmp_path: Path) -> None:
    """Both are made if need be."""
    registry_of(RegistryOptions(uri=str(tmp_path)), tmp_path / "state", {})
    registry_of(RegistryOptions(uri=str(tmp_path), cache_dir=str(tmp_path / "elsewhere")), tmp_path / "unused", {})

    assert ((tmp_path / "state/cache/versions").is_dir(), (tmp_path / "elsewhere/versions").is_dir()) == (True, True)
    assert not (tmp_path / "unused").exists()
