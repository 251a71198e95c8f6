"""Writes what a server is made of as a CycloneDX 1.6 document, from a lock file: `python requirements/sbom.py [LOCK] [--output FILE]`.

The lock says which releases and which files of them, by hash; what is installed says who needs whom and under which licence. The same
lock in the same environment gives the same document, byte for byte.
"""

import argparse
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[1]
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?: ; ([^\\\n]+?))?(?: \\)?$")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")

_SIBLINGS: Final = {"onnxruntime-gpu": "onnxruntime"}
"""Built from one source, so alike in licence and needs; the one that is not installed here is asked for in the other's name."""


class Pin(NamedTuple):
    """One release of a lock."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Return its package URL, which also is its name within the document."""
        return f"pkg:pypi/{self.name}@{self.version}"


def main() -> int:
    """Write the document; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", nargs="?", default="serve.txt", help="the lock file, in requirements/ [default: serve.txt]")
    parser.add_argument("--output", type=Path, help="[default: standard output]")
    arguments = parser.parse_args()
    text = json.dumps(document((ROOT / "requirements" / arguments.lock).read_text("utf-8")), indent=2) + "\n"
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text, "utf-8")
    return 0


def document(lock: str) -> dict[str, Any]:
    """Return the document of a lock's text."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = settings["project"]
    root = f"pkg:pypi/{project['name']}@{project['version']}"
    pins = list(pins_of(lock))
    served = _names([*project["dependencies"], *project["optional-dependencies"]["cpu"], *project["optional-dependencies"]["gpu"]])
    tools = _reached(_names(settings["dependency-groups"]["build"]), pins) - _reached(served, pins)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, root + lock)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": project["name"],
                "version": project["version"],
                "purl": root,
                "licenses": [{"license": {"id": project["license"]}}],
            },
        },
        "components": [_component(pin, "excluded" if pin.name in tools else "required") for pin in pins],
        "dependencies": [
            {"ref": root, "dependsOn": _refs([*served, *_unasked(pins, tools)], pins)},
            *({"ref": pin.purl, "dependsOn": _uses(pin, pins)} for pin in pins),
        ],
    }


def pins_of(lock: str) -> Iterator[Pin]:
    """Yield the releases of a lock's text, in its order."""
    for block in re.split(r"\n(?=[A-Za-z0-9])", lock.strip()):
        first, *rest = block.split("\n")
        found = _PIN.match(first)
        if found is None:
            raise ValueError(f"the lock has a line that is no pin: {first!r}")
        yield Pin(canonicalize_name(found[1]), found[2], (found[3] or "").strip(), tuple(_HASH.findall("\n".join(rest))))


def _component(pin: Pin, scope: str) -> dict[str, Any]:
    """Return a release; one that is for some platforms only says for which."""
    licence = _licence(pin)
    files = [{"alg": "SHA-256", "content": digest} for digest in pin.hashes]
    marker = {"properties": [{"name": "penstock:marker", "value": pin.marker}]} if pin.marker else {}
    return {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "scope": scope,
        **({"licenses": licence} if licence else {}),
        "purl": pin.purl,
        # One entry for each file that the lock lets in: a release has one for each platform. Which index serves it, no lock says.
        "externalReferences": [{"type": "distribution", "url": pin.purl, "hashes": [each]} for each in files],
        **marker,
    }


def _licence(pin: Pin) -> list[dict[str, Any]]:
    found = _installed(pin)
    if found is None:
        return []
    if expression := found.metadata.get("License-Expression"):
        return [{"expression": expression}]
    classified = [line.rpartition(" :: ")[2] for line in found.metadata.get_all("Classifier") or () if line.startswith("License ::")]
    return [{"license": {"name": name}} for name in classified]


def _uses(pin: Pin, pins: list[Pin]) -> list[str]:
    """Return what an installed release asks for in this environment, without its extras."""
    found = _installed(pin)
    asked = [Requirement(text) for text in (found.requires if found else None) or ()]
    return _refs([canonicalize_name(each.name) for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})], pins)


def _refs(names: list[str], pins: list[Pin]) -> list[str]:
    return sorted(pin.purl for pin in pins if pin.name in names)


def _unasked(pins: list[Pin], tools: set[str]) -> list[str]:
    """Return what nobody else needs as far as is known, and the lock has all the same."""
    used = {ref for pin in pins for ref in _uses(pin, pins)}
    return [pin.name for pin in pins if pin.purl not in used and pin.name not in tools]


def _reached(names: list[str], pins: list[Pin]) -> set[str]:
    """Return those names, and all that they need."""
    uses = {pin.name: [ref.removeprefix("pkg:pypi/").partition("@")[0] for ref in _uses(pin, pins)] for pin in pins}
    seen, todo = set[str](), list(names)
    while todo:
        name = todo.pop()
        if name in uses and name not in seen:
            seen.add(name)
            todo += uses[name]
    return seen


def _names(requirements: list[str]) -> list[str]:
    return [canonicalize_name(Requirement(text).name) for text in requirements]


def _installed(pin: Pin) -> metadata.Distribution | None:
    """Return what is installed of the release or of its sibling, None if that is neither or another version."""
    sibling = _SIBLINGS.get(pin.name, pin.name)
    try:
        found = metadata.distribution(sibling)
    except metadata.PackageNotFoundError:
        return None
    return found if found.version == pin.version or sibling != pin.name else None


if __name__ == "__main__":
    sys.exit(main())
