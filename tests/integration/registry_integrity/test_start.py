"""What keeps a server from starting, said in one sentence with what to do."""

from pathlib import Path

import pytest
from tampering import Publisher

from penstock.config.settings import ServerOptions, Settings
from penstock.domain.start import StartError
from penstock.house import registry_named
from penstock.registry.options import RegistryOptions


def refusal(tmp_path: Path, **registry: object) -> str:
    """Return why a server with these settings of the registry does not start."""
    settings = Settings(server=ServerOptions(state_dir=str(tmp_path / "state")), registry=RegistryOptions(**registry))  # type: ignore[arg-type]
    with pytest.raises(StartError) as refused:
        registry_named(settings)
    return str(refused.value)


def test_engine_that_takes_options_from_models_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each model could choose to load code."""
    monkeypatch.setenv("ORT_LOAD_CONFIG_FROM_MODEL", "1")

    assert "ORT_LOAD_CONFIG_FROM_MODEL is set" in refusal(tmp_path)


def test_registry_of_another_kind_is_refused(tmp_path: Path) -> None:
    """With the flag that names another one."""
    assert refusal(tmp_path, uri="hdfs://x").endswith("name another one with --registry")


def test_cache_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """A file in its place, for one."""
    (tmp_path / "file").write_text("")

    assert "the cache of models cannot be used: " in refusal(tmp_path, cache_dir=str(tmp_path / "file" / "cache"))


def test_trusted_key_that_cannot_be_used_is_refused(tmp_path: Path, publisher: Publisher) -> None:
    """A private key in place of the public one, for one."""
    keys = [str(publisher.private_key)]

    assert "publisher.pem cannot be used" in refusal(tmp_path, signatures="enforce", trusted_keys=keys)
