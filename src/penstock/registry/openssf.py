"""The door to OpenSSF model signing: the only module that imports `model_signing`.

What is signed is a directory that holds nothing but manifest.json, as `model_signing sign key` would do it: the manifest
pins every other file, so a signature costs the same for a model of any size. The library's own check of a version is
`model_signing verify key --signature model.sig --ignore_unsigned_files`.
"""

import base64
import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model_signing import hashing, signing, verifying

from penstock.registry.manifest import MANIFEST, SIGNATURE


def sign_manifest(manifest: bytes, private_key: Path) -> bytes:
    """Return a Sigstore bundle over the manifest; raises whatever the library does for a key that it cannot use."""
    with _alone(manifest) as (directory, signature):
        signer = signing.Config()  # type: ignore[no-untyped-call]
        signer.use_elliptic_key_signer(private_key=private_key).set_hashing_config(_hashing()).sign(directory, signature)
        return signature.read_bytes()


def verify_manifest(manifest: bytes, bundle: bytes, public_key: Path) -> None:
    """Return if the bundle is this key's signature of the manifest; raises whatever the library does otherwise."""
    with _alone(manifest) as (directory, signature):
        signature.write_bytes(bundle)
        _verifier(public_key).set_hashing_config(_hashing()).verify(directory, signature)
    # The library passes over what the signature itself says should be ignored.
    if covered(bundle) != {MANIFEST: hashlib.sha256(manifest).hexdigest()}:
        raise ValueError("the signature does not cover the manifest alone")


def check_public_key(public_key: Path) -> None:
    """Return if the file is a public key that signatures can be verified with; raises whatever the library does otherwise."""
    _verifier(public_key)


def key_hint(bundle: bytes) -> str:
    """Return the sha256 of the public key that a bundle claims to be made with; raises ValueError or KeyError if it tells none."""
    hint = _strict(bundle)["verificationMaterial"]["publicKey"]["hint"]
    if not isinstance(hint, str) or len(hint) != hashlib.sha256().digest_size * 2:
        raise ValueError("the hint is no sha256")
    return hint


def covered(bundle: bytes) -> dict[str, str]:
    """Return the sha256 of each file that a bundle lists, by name; raises ValueError, KeyError or TypeError if it is malformed."""
    statement = _strict(base64.b64decode(_strict(bundle)["dsseEnvelope"]["payload"], validate=True))
    return {resource["name"]: resource["digest"] for resource in statement["predicate"]["resources"]}


@contextmanager
def _alone(manifest: bytes) -> Iterator[tuple[Path, Path]]:
    """Yield a directory with the manifest alone, and where its signature belongs."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as root:
        directory = Path(root) / "version"
        directory.mkdir()
        (directory / MANIFEST).write_bytes(manifest)
        yield directory, Path(root) / SIGNATURE


def _verifier(public_key: Path) -> verifying.Config:
    verifier = verifying.Config()  # type: ignore[no-untyped-call]
    return verifier.use_elliptic_key_verifier(public_key=public_key)


def _hashing() -> hashing.Config:
    config = hashing.Config()  # type: ignore[no-untyped-call]
    return config.use_file_serialization(hashing_algorithm="sha256")


def _strict(text: bytes) -> Any:  # noqa: ANN401 - JSON that its callers take apart
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a key given twice: the library might read the other one."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is given twice")
    return table
