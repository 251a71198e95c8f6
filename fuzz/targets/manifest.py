"""`manifest.json`: refused with a reason, or read as it is written."""

from random import Random
from typing import Final

from json_trees import mutated_json

from penstock.domain.errors import LoadRefused
from penstock.registry.manifest import MAX_MANIFEST_BYTES, Manifest

FORMED: Final = 0.6
LIMIT_BYTES: Final = MAX_MANIFEST_BYTES
WORDS: Final = (
    b'"files"',
    b'"model"',
    b'"version"',
    b'"sha256"',
    b'"size"',
    b'"inputs"',
    b'"opsets"',
    b"{",
    b"}",
    b"[",
    b"NaN",
    b"\\ud800",
    b"..",
)
_TEXTS: Final = (
    "files",
    "model",
    "version",
    "ir_version",
    "opsets",
    "inputs",
    "outputs",
    "created",
    "tags",
    "lineage",
    "sha256",
    "size",
    "../x",
    "a/b",
)


def case(data: bytes) -> bool:
    """Read a manifest, and read what it writes."""
    try:
        manifest = Manifest.decode(data)
    except LoadRefused as error:
        assert error.message.isprintable(), error.message
        return False
    assert Manifest.decode(manifest.encode()) == manifest
    assert all(".." not in name.split("/") and not name.startswith("/") for name in manifest.files)
    return True


def mutate(data: bytes, rng: Random) -> bytes:
    """Change values, and keep it JSON."""
    return mutated_json(data, rng, _TEXTS)
