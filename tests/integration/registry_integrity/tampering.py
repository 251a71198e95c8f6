"""Signed versions, and every way in which somebody may tamper with one."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from penstock.registry.openssf import sign_manifest

MODEL: Final = "external"
PEM: Final = serialization.Encoding.PEM


@dataclass(frozen=True)
class Publisher:
    """Whoever may write the registry and holds a key, with the builders of the fixture models."""

    root: Path
    private_key: Path
    public_key: Path
    models: ModuleType
    broken: ModuleType

    def publish(self, number: int, model: str = MODEL) -> Path:
        """Write and sign a version whose weights tell its number; returns its directory."""
        directory = self.root / model / str(number)
        self.models.write_with_weights_file(directory)
        weights = directory / "weights.bin"
        weights.write_bytes(weights.read_bytes()[:-1] + bytes([64 + number]))
        return self.seal(directory)

    def seal(self, directory: Path, key: Path | None = None, **changes: Any) -> Path:
        """Write the manifest of what lies there, with changes, and sign it."""
        listed = [path for path in directory.rglob("*") if path.is_file() and path.name not in ("manifest.json", "model.sig")]
        files = {str(path.relative_to(directory)): entry(path) for path in listed}
        manifest = {"model": directory.parent.name, "version": int(directory.name), "files": files, **changes}
        text = json.dumps(manifest).encode()
        (directory / "manifest.json").write_bytes(text)
        (directory / "model.sig").write_bytes(sign_manifest(text, key or self.private_key))
        return directory


@dataclass(frozen=True)
class Attempt:
    """One version that is tampered with, and what the one who does it has at hand."""

    version: Path
    canary: Path
    """A file outside of the registry that must never be opened; it would fit as weights."""
    publisher: Publisher

    def other(self) -> Path:
        """Return another good version of the same model, which its number tells apart."""
        return self.publisher.publish(9, self.version.parent.name)

    def graph_with_data_at(self, location: str) -> None:
        """Have a signed graph name its data there."""
        (self.version / "model.onnx").write_bytes(self.publisher.broken.with_data_at(location))
        self.publisher.seal(self.version)

    def lists(self, name: str) -> None:
        """Have a signed manifest list one more file, under that name."""
        names = {path.name: entry(path) for path in self.version.iterdir() if path.name in ("model.onnx", "weights.bin")}
        self.publisher.seal(self.version, files={**names, name: entry(self.canary)})


def entry(path: Path) -> dict[str, object]:
    """Return what a manifest says of a file."""
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "size": path.stat().st_size}


def write_keys(directory: Path, name: str) -> tuple[Path, Path]:
    """Write an EC key; returns the files of the private and the public one."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = directory / f"{name}.pem", directory / f"{name}.pub"
    private.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def flip(path: Path, byte: int) -> None:
    """Flip one bit of a byte."""
    content = bytearray(path.read_bytes())
    content[byte] ^= 1
    path.write_bytes(content)


def replace_by_link(path: Path, target: Path, *, hard: bool = False) -> None:
    """Put a link in a file's place."""
    path.unlink()
    if hard:
        path.hardlink_to(target)
    else:
        path.symlink_to(target)


def edit_manifest(attempt: Attempt, **changes: object) -> None:
    """Change the manifest and leave the signature as it is."""
    path = attempt.version / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def swap_data(attempt: Attempt, *, listed: bool) -> None:
    """Put the weights of another version in place, and maybe into the manifest too."""
    weights = attempt.version / "weights.bin"
    weights.write_bytes((attempt.other() / "weights.bin").read_bytes())
    if listed:
        edit_manifest(attempt, files={"model.onnx": entry(attempt.version / "model.onnx"), "weights.bin": entry(weights)})


def replay(attempt: Attempt, *names: str) -> None:
    """Copy files of another signed version over those of this one."""
    other = attempt.other()
    for name in names:
        shutil.copyfile(other / name, attempt.version / name)


def linked_folder(attempt: Attempt) -> None:
    """Have the data lie in a folder that is a link to one outside."""
    (attempt.version / "data").symlink_to(attempt.canary.parent)
    attempt.graph_with_data_at(f"data/{attempt.canary.name}")


def foreign_operator(attempt: Attempt) -> None:
    """Sign a graph that needs native code."""
    graph = attempt.publisher.broken.parse(attempt.publisher.broken.UNKNOWN_OPERATOR, "com.example", 1)
    (attempt.version / "model.onnx").write_bytes(graph.SerializeToString())
    attempt.publisher.seal(attempt.version)


def pipe(path: Path) -> None:
    """Put a pipe in a file's place."""
    path.unlink()
    os.mkfifo(path)


def other_key(attempt: Attempt) -> None:
    """Sign with a key that nobody trusts."""
    private, _ = write_keys(attempt.canary.parent.parent, f"stranger-{attempt.version.parent.name}-{attempt.version.name}")
    attempt.publisher.seal(attempt.version, private)


TAMPERINGS: Final[dict[str, tuple[Callable[[Attempt], object], str]]] = {
    "bit-of-graph": (lambda a: flip(a.version / "model.onnx", 20), "the sha256 of 'model.onnx' differs"),
    "bit-of-data": (lambda a: flip(a.version / "weights.bin", 3), "the sha256 of 'weights.bin' differs"),
    "bit-of-manifest": (lambda a: flip(a.version / "manifest.json", -40), "manifest.json"),
    "bit-of-signature": (lambda a: flip(a.version / "model.sig", 300), "model.sig"),
    "data-cut": (lambda a: os.truncate(a.version / "weights.bin", 12), "'weights.bin' has 12 bytes, manifest.json says 16"),
    "data-longer": (lambda a: os.truncate(a.version / "weights.bin", 17), "'weights.bin' has 17 bytes, manifest.json says 16"),
    "data-swapped": (lambda a: swap_data(a, listed=False), "the sha256 of 'weights.bin' differs"),
    "data-swapped-and-listed": (lambda a: swap_data(a, listed=True), "model.sig does not prove this manifest.json"),
    "data-gone": (lambda a: (a.version / "weights.bin").unlink(), "lists the file 'weights.bin', which is not there"),
    "traversal-in-manifest": (lambda a: a.lists(f"../../../outside/{a.canary.name}"), "is no plain path below the version's directory"),
    "absolute-in-manifest": (lambda a: a.lists(str(a.canary)), "is no plain path below the version's directory"),
    "traversal-in-graph": (
        lambda a: a.graph_with_data_at(f"../../../outside/{a.canary.name}"),
        "names external data 'canary.bin' outside the model's directory",
    ),
    "absolute-in-graph": (lambda a: a.graph_with_data_at(str(a.canary)), "names external data 'canary.bin' outside"),
    "link-for-data": (lambda a: replace_by_link(a.version / "weights.bin", a.canary), "'weights.bin' is a link"),
    "link-for-graph": (lambda a: replace_by_link(a.version / "model.onnx", a.canary), "'model.onnx' is a link"),
    "link-for-manifest": (lambda a: replace_by_link(a.version / "manifest.json", a.canary), "'manifest.json' is a link"),
    "link-for-settings": (lambda a: (a.version / "model.toml").symlink_to(a.canary), "'model.toml' is a link"),
    "link-beside": (lambda a: (a.version / "more").symlink_to(a.canary.parent), "'more' is a link"),
    "linked-folder": (linked_folder, "'data' is a link"),
    "hard-link-for-data": (
        lambda a: replace_by_link(a.version / "weights.bin", a.canary, hard=True),
        "'weights.bin' has another name outside the version",
    ),
    "pipe-for-data": (lambda a: pipe(a.version / "weights.bin"), "'weights.bin' is no regular file"),
    "extra-file": (lambda a: (a.version / "extra.bin").write_bytes(b"x"), "'extra.bin' is not listed in manifest.json"),
    "extra-hidden-file": (lambda a: (a.version / ".extra").write_bytes(b"x"), "'.extra' is not listed in manifest.json"),
    "signed-library": (
        lambda a: ((a.version / "ops.so").write_bytes(b"x"), a.publisher.seal(a.version)),
        "the native library 'ops.so'",
    ),
    "signed-foreign-operator": (foreign_operator, "operators of unknown domains: 'com.example'"),
    "manifest-changed": (lambda a: edit_manifest(a, tags={"approved": "yes"}), "model.sig does not prove this manifest.json"),
    "manifest-removed": (lambda a: (a.version / "manifest.json").unlink(), "the version has no manifest.json"),
    "signature-stripped": (lambda a: (a.version / "model.sig").unlink(), "the version has no model.sig"),
    "signature-replayed": (lambda a: replay(a, "model.sig"), "model.sig does not prove this manifest.json"),
    "version-replayed": (lambda a: replay(a, "model.onnx", "weights.bin", "manifest.json", "model.sig"), "manifest.json is of external/9"),
    "wrong-key": (other_key, "is not among registry.trusted_keys"),
}
"""By name: what is done to a version, and what the refusal must say."""
