"""The versions of MLflow's models, asked for again only where they may have changed."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Final

from penstock.registry.mlflow_client import MlflowClient
from penstock.registry.mlflow_records import RegisteredModel, RegisteredVersion, all_versions

_FEW: Final = 4
"""Models for which a call each is cheaper than a list of every version of all."""
_WHOLE_S: Final = 60.0
"""Seconds after which all is asked for: tags and a registration that ends leave no trace on the model."""


class KnownVersions:
    """What is known of the versions. Not for two threads at once."""

    def __init__(self, client: MlflowClient, clock: Callable[[], float] = monotonic) -> None:
        self._client = client
        self._clock = clock
        self._stamps: dict[str, int] = {}
        self._versions: dict[str, list[RegisteredVersion]] = {}
        self._whole_at = clock()

    def of(self, models: Sequence[RegisteredModel]) -> Mapping[str, Sequence[RegisteredVersion]]:
        """Return the versions by model as they are now; raises `RegistryUnreachable`, and knows then what it knew before."""
        changed = [model.name for model in models if self._stamps.get(model.name) != model.last_updated_timestamp]
        if len(changed) > _FEW or self._clock() >= self._whole_at:
            self._ask_all()
        else:
            self._versions |= {name: list(all_versions(self._client, name)) for name in changed}
        self._stamps = {model.name: model.last_updated_timestamp for model in models}
        return {model.name: self._versions.get(model.name, []) for model in models}

    def _ask_all(self) -> None:
        versions: defaultdict[str, list[RegisteredVersion]] = defaultdict(list)
        for version in all_versions(self._client):
            versions[version.name].append(version)
        self._versions = dict(versions)
        self._whole_at = self._clock() + _WHOLE_S
