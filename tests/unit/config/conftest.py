"""What the tests of settings share."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from penstock.config.errors import ConfigError
from penstock.config.load import Loaded, load

Load = Callable[..., Loaded]
Problems = Callable[..., tuple[str, ...]]


@pytest.fixture(name="loaded")
def _loaded(tmp_path: Path) -> Load:
    def loaded(toml: str = "", environ: Mapping[str, str] | None = None, **flags: object) -> Loaded:
        path = tmp_path / "penstock.toml"
        path.write_text(toml, "utf-8")
        return load(path, environ or {}, flags)

    return loaded


@pytest.fixture(name="problems")
def _problems(loaded: Load) -> Problems:
    def problems(toml: str = "", environ: Mapping[str, str] | None = None, **flags: object) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            loaded(toml, environ, **flags)
        return caught.value.problems

    return problems
