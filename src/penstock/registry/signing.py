"""Who signed a version: `sign` and `verify` for a manifest, `SignaturePolicy` for what a server asks of each version.

A signature covers `manifest.json`, and by its digests every file of the version. The manifest names model and version,
so that the signature of one version is refused for another.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from penstock.domain.errors import LoadRefused
from penstock.domain.model import ModelVersion
from penstock.domain.names import shown
from penstock.registry.manifest import SIGNATURE, Manifest
from penstock.registry.options import RegistryOptions

_log = logging.getLogger(__name__)

MAX_SIGNATURE_BYTES: Final = 1024 * 1024


def sign(manifest: bytes, private_key: Path) -> bytes:
    """Return the text of `model.sig` for a manifest, made with an unencrypted EC key (P-256, P-384, P-521) in PEM form.

    Raises `LoadRefused` for a key that cannot be used, for a manifest that does not say which version it is of, and without the
    extra `signing`. Blocks.
    """
    _bound(Manifest.decode(manifest))
    library = _library()
    try:
        signature: bytes = library.sign_manifest(manifest, private_key)
    except Exception as error:  # whatever a foreign key file makes the library raise
        raise LoadRefused(
            f"the private key cannot be used: {_said(error)}; give an unencrypted EC key (P-256, P-384 or P-521) as PEM"
        ) from error
    return signature


def verify(manifest: bytes, signature: bytes, trusted_keys: Sequence[Path]) -> str:
    """Return who signed the manifest, as `sha256:<of the public key>`; the key is one of the trusted ones.

    Raises `LoadRefused` if none of them signed it, and without the extra `signing`. Blocks.
    """
    library = _library()
    try:
        signer: str = library.key_hint(signature)
    except Exception as error:
        raise LoadRefused(f"{SIGNATURE} is no signature by a key: it is malformed or of another kind") from error
    if any(_verified(library, manifest, signature, key) for key in trusted_keys):
        return f"sha256:{signer}"
    raise LoadRefused(
        f"{SIGNATURE} does not prove this manifest.json: the manifest was changed after it was signed, or the key that signed it "
        f"({shown(signer[:16])}…) is not among registry.trusted_keys"
    )


class SignaturePolicy:
    """What a server asks of the signatures of the versions that it loads."""

    def __init__(self, options: RegistryOptions) -> None:
        self._policy: Final = options.signatures
        self._keys: Final = tuple(Path(key) for key in options.trusted_keys)

    def prepare(self) -> None:
        """Check at the start that signatures can be verified; raises ValueError for a key that cannot, `LoadRefused` without the extra."""
        if self._policy == "off":
            return
        library = _library()
        for key in self._keys:
            try:
                library.check_public_key(key)
            except Exception as error:
                raise ValueError(f"registry.trusted_keys: {key} cannot be used: {_said(error)}; give an EC public key as PEM") from error

    def signer(self, identity: ModelVersion, manifest: bytes | None, signature: bytes | None) -> str:
        """Return who signed the version, "" if that is unknown and may be; raises `LoadRefused` if it may not."""
        if self._policy == "off":
            return ""
        try:
            return self._proven(manifest, signature)
        except LoadRefused as refusal:
            if self._policy == "enforce":
                raise
            _log.warning("%s is loaded although its signature is not proven: %s", identity, refusal.message)
            return ""

    def _proven(self, manifest: bytes | None, signature: bytes | None) -> str:
        if manifest is None:
            raise LoadRefused("the version has no manifest.json, so it carries no signature; registry.signatures asks for one")
        if signature is None:
            raise LoadRefused(f"the version has no {SIGNATURE}, and registry.signatures asks for one")
        signer = verify(manifest, signature, self._keys)
        _bound(Manifest.decode(manifest))
        return signer


def _bound(manifest: Manifest) -> None:
    """Refuse a manifest that a signature would not tie to one version: it could be replayed for any other."""
    if not manifest.model or manifest.version is None:
        raise LoadRefused("manifest.json does not say of which model and version it is; publish the version again to sign it")


def _said(error: Exception) -> str:
    """Return the reason alone: an operating system's error repeats the path."""
    return str(getattr(error, "strerror", None) or error)


def _verified(library: ModuleType, manifest: bytes, signature: bytes, key: Path) -> bool:
    try:
        library.verify_manifest(manifest, signature, key)
    except Exception:  # a foreign library over foreign bytes: only a return is a proof
        return False
    return True


def _library() -> ModuleType:
    """Return the door to the library. It takes 0.3 s to import and comes with an extra, so only who asks for it pays."""
    try:
        from penstock.registry import openssf  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise LoadRefused(f"signatures need the package {error.name}: pip install 'penstock[signing]'") from error
    return openssf
