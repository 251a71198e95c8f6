"""Who signed a version: OpenSSF model signing over the manifest, by key."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from model_signing import verifying

from penstock.domain.errors import LoadRefused
from penstock.domain.model import ModelVersion
from penstock.registry.manifest import FileDigest, Manifest
from penstock.registry.options import RegistryOptions
from penstock.registry.signing import SignaturePolicy, sign, verify

IDENTITY = ModelVersion("fraud", "3")
MANIFEST = Manifest(files={"model.onnx": FileDigest("0" * 64, 1)}, model="fraud", version=3).encode()
OTHER = Manifest(files={"model.onnx": FileDigest("0" * 64, 1)}, model="fraud", version=2).encode()
PEM = serialization.Encoding.PEM


def key_pair(directory: Path, name: str, curve: ec.EllipticCurve | None = None, password: bytes | None = None) -> tuple[Path, Path]:
    """Write an EC key; returns the files of the private and the public one."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    secrecy = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private, public = directory / f"{name}.pem", directory / f"{name}.pub"
    private.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, secrecy))
    public.write_bytes(key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the files of a private and a public key."""
    return key_pair(tmp_path_factory.mktemp("keys"), "ours")


@pytest.fixture(scope="module")
def signature(keys: tuple[Path, Path]) -> bytes:
    """Return the signature of the manifest."""
    return sign(MANIFEST, keys[0])


def policy(mode: Any, *keys: Path) -> SignaturePolicy:
    """Return a policy that trusts the keys."""
    return SignaturePolicy(RegistryOptions(signatures=mode, trusted_keys=list(map(str, keys))))


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_signature_names_its_key_among_the_trusted_ones(tmp_path: Path, keys: tuple[Path, Path], curve: ec.EllipticCurve) -> None:
    """By the digest of the public key."""
    private, public = key_pair(tmp_path, "theirs", curve)

    signer = verify(MANIFEST, sign(MANIFEST, private), [keys[1], public])

    assert signer.startswith("sha256:")
    assert len(signer) == len("sha256:") + 64


def test_tool_of_openssf_accepts_our_signature(tmp_path: Path, keys: tuple[Path, Path], signature: bytes) -> None:
    """Over the version's directory, with files that only the manifest knows."""
    (tmp_path / "manifest.json").write_bytes(MANIFEST)
    (tmp_path / "model.onnx").write_bytes(b"x")
    (tmp_path / "model.sig").write_bytes(signature)

    check = verifying.Config().use_elliptic_key_verifier(public_key=keys[1]).set_ignore_unsigned_files(ignore_unsigned_files=True)
    check.verify(tmp_path, tmp_path / "model.sig")


@pytest.mark.parametrize("manifest", [MANIFEST + b" ", OTHER], ids=["changed", "another-version"])
def test_signature_of_other_bytes_is_refused(keys: tuple[Path, Path], signature: bytes, manifest: bytes) -> None:
    """One space is enough; so is the signature of the version before."""
    with pytest.raises(LoadRefused, match=r"model.sig does not prove this manifest.json: the manifest was changed"):
        verify(manifest, signature, [keys[1]])


def test_wrong_key_is_refused(tmp_path: Path, signature: bytes) -> None:
    """The refusal names the key that it was made with."""
    with pytest.raises(LoadRefused, match=r"the key that signed it \('[0-9a-f]{16}'…\) is not among registry.trusted_keys"):
        verify(MANIFEST, signature, [key_pair(tmp_path, "theirs")[1]])


def test_no_trusted_key_trusts_nobody(signature: bytes) -> None:
    """An empty list is no wildcard."""
    with pytest.raises(LoadRefused, match="not among"):
        verify(MANIFEST, signature, [])


def forged(signature: bytes, change: str) -> bytes:
    """Return the signature with a change that its reader has to notice."""
    bundle = json.loads(signature)
    if change == "hint":
        bundle["verificationMaterial"]["publicKey"]["hint"] = "0" * 64
    elif change == "payload":
        bundle["dsseEnvelope"]["payload"] = bundle["dsseEnvelope"]["payload"][::-1]
    elif change == "no-signatures":
        bundle["dsseEnvelope"]["signatures"] = []
    elif change == "twice":
        return signature[:-1] + b', "dsseEnvelope": {}}'
    return json.dumps(bundle).encode()


@pytest.mark.parametrize("change", ["hint", "payload", "no-signatures", "twice"])
def test_altered_signature_is_refused(keys: tuple[Path, Path], signature: bytes, change: str) -> None:
    """Wherever it was altered."""
    with pytest.raises(LoadRefused, match=r"model\.sig"):
        verify(MANIFEST, forged(signature, change), [keys[1]])


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"verificationMaterial": {"publicKey": {"hint": 3}}}'])
def test_malformed_signature_is_refused(keys: tuple[Path, Path], content: bytes) -> None:
    """It is no error of the library's that anyone sees."""
    with pytest.raises(LoadRefused, match=r"model.sig is no signature by a key"):
        verify(MANIFEST, content, [keys[1]])


def test_signature_that_covers_something_else_is_refused(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    """A trusted key may have signed a directory in which the manifest was left out."""
    from model_signing import hashing, signing

    version = tmp_path / "version"
    version.mkdir()
    (version / "manifest.json").write_bytes(MANIFEST)
    config = signing.Config().use_elliptic_key_signer(private_key=keys[0])
    config.set_hashing_config(hashing.Config().set_ignored_paths(paths=["manifest.json"])).sign(version, tmp_path / "model.sig")

    with pytest.raises(LoadRefused, match="does not prove"):
        verify(MANIFEST, (tmp_path / "model.sig").read_bytes(), [keys[1]])


def test_manifest_of_no_version_is_not_signed(keys: tuple[Path, Path]) -> None:
    """Its signature would fit every version with these files."""
    with pytest.raises(LoadRefused, match="does not say of which model and version"):
        sign(Manifest(files={"model.onnx": FileDigest("0" * 64, 1)}).encode(), keys[0])


@pytest.mark.parametrize("kind", ["missing", "text", "public", "encrypted", "rsa", "curve"])
def test_unusable_private_key_is_told(tmp_path: Path, keys: tuple[Path, Path], kind: str) -> None:
    """With what is expected."""
    path = tmp_path / "key.pem"
    if kind == "text":
        path.write_text("x")
    elif kind == "public":
        path = keys[1]
    elif kind == "encrypted":
        path, _ = key_pair(tmp_path, "key", password=b"x")
    elif kind == "curve":
        path, _ = key_pair(tmp_path, "key", ec.SECP256K1())
    elif kind == "rsa":
        key = rsa.generate_private_key(65537, 2048)
        path.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

    with pytest.raises(LoadRefused, match="give an unencrypted EC key"):
        sign(MANIFEST, path)


def test_policy_off_asks_for_nothing(signature: bytes) -> None:
    """And claims nothing: a signature that nobody looked at proves nobody."""
    policy("off").prepare()

    assert policy("off").signer(IDENTITY, None, None) == policy("off").signer(IDENTITY, MANIFEST, signature) == ""


@pytest.mark.parametrize("mode", ["warn", "enforce"])
def test_signed_version_tells_its_signer(keys: tuple[Path, Path], signature: bytes, mode: str) -> None:
    """For the records of what it answers."""
    assert policy(mode, keys[1]).signer(IDENTITY, MANIFEST, signature).startswith("sha256:")


@pytest.mark.parametrize(
    ("manifest", "words"),
    [(None, "has no manifest.json"), (MANIFEST, "has no model.sig"), (OTHER, "does not prove this manifest.json")],
    ids=["no-manifest", "stripped", "replayed"],
)
def test_unsigned_version_is_refused_or_told(
    keys: tuple[Path, Path], signature: bytes, caplog: pytest.LogCaptureFixture, manifest: bytes | None, words: str
) -> None:
    """Enforcing refuses it, warning says so in the log."""
    given = signature if manifest == OTHER else None
    with caplog.at_level(logging.WARNING):
        signer = policy("warn", keys[1]).signer(IDENTITY, manifest, given)

    assert signer == ""
    assert words in caplog.text
    with pytest.raises(LoadRefused, match=words):
        policy("enforce", keys[1]).signer(IDENTITY, manifest, given)


def test_unusable_trusted_key_is_an_error_at_the_start(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    """Not at the first load of a signed version."""
    policy("enforce", keys[1]).prepare()

    with pytest.raises(ValueError, match=r"registry.trusted_keys: .*gone.pub cannot be used"):
        policy("warn", keys[1], tmp_path / "gone.pub").prepare()
