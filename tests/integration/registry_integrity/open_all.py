"""Opens every version of a registry as a server would, and prints what came of each: `open_all.py ROOT CACHE PUBLIC_KEY`."""

import json
import sys
from pathlib import Path

from penstock.domain.errors import PenstockError
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.options import RegistryOptions
from penstock.registry.verified import VerifiedRegistry

root, cache, key = sys.argv[1:]
options = RegistryOptions(require_manifest=True, signatures="enforce", trusted_keys=[key])
registry = VerifiedRegistry(DirectorySource(Path(root)), Cache(Path(cache)), options)
for model in registry.snapshot().models.values():
    for version in model.versions.values():
        try:
            outcome = version.problem or str(registry.open(model, version).path)
        except PenstockError as error:
            outcome = error.message
        print(json.dumps([model.name, version.number, outcome]))
