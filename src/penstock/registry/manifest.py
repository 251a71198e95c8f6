"""What a published version says of itself: `manifest.json`, written last and read before anything else is trusted."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeGuard

from penstock.domain.errors import LoadRefused
from penstock.domain.names import is_model_name, shown
from penstock.domain.tensor import DATATYPES, TensorSpec
from penstock.registry.file_name import both_file_and_folder, name_problem

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "model.sig"
REFERENCE: Final = "reference.json"
"""What the inputs and outputs of the version looked like, for whoever watches for drift."""
MAX_REFERENCE_BYTES: Final = 2 * 1024 * 1024
MAX_MANIFEST_BYTES: Final = 4 * 1024 * 1024
"""Room for some 30,000 files."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_FORM: Final = 'manifest.json is not of the form {"files": {"model.onnx": {"sha256": …, "size": …}}}'
_Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FileDigest:
    """What a file must be."""

    sha256: str
    """64 lower-case hexadecimal digits."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of a manifest; all but `files` may be empty, as in one that a person wrote."""

    files: Mapping[str, FileDigest]
    """Every file of the version but the manifest, its signature, an operator's model.toml, and a reference.json that was added later; by
    plain relative names."""
    model: str = ""
    """The model that the version was published for: what is signed for one model is refused as another."""
    version: int | None = None
    """The number that the version was published as."""
    ir_version: int | None = None
    opsets: Mapping[str, int] = field(default_factory=dict)
    """Version by operator domain."""
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    created: str = ""
    """ISO 8601, with the offset from UTC."""
    tags: Mapping[str, str] = field(default_factory=dict)
    lineage: Mapping[str, str] = field(default_factory=dict)
    """Where the model comes from: a run, a commit, a data set."""

    def encode(self) -> bytes:
        """Return the text of the file, the same for the same content; raises `LoadRefused` for what `decode` would refuse."""
        tree = {
            "model": self.model,
            "version": self.version,
            "created": self.created,
            "ir_version": self.ir_version,
            "opsets": dict(self.opsets),
            "inputs": [_tensor(spec) for spec in self.inputs],
            "outputs": [_tensor(spec) for spec in self.outputs],
            "tags": dict(self.tags),
            "lineage": dict(self.lineage),
            "files": {name: {"sha256": entry.sha256, "size": entry.size} for name, entry in sorted(self.files.items())},
        }
        text = json.dumps({key: value for key, value in tree.items() if value or value == 0 or key == "files"}, indent=2) + "\n"
        self.decode(text.encode())
        return text.encode()

    @classmethod
    def decode(cls, text: bytes) -> "Manifest":
        """Return what the text of a manifest says; raises `LoadRefused` with what is wrong.

        Keys that this release does not know are skipped: a later one may add facts, and no fact widens what `files` lists.
        """
        tree = _tree(text)
        return cls(
            files=_files(tree.get("files")),
            model=_model(tree),
            version=_count(tree, "version", least=1),
            ir_version=_count(tree, "ir_version"),
            opsets=_opsets(tree),
            inputs=tuple(_specs(tree, "inputs")),
            outputs=tuple(_specs(tree, "outputs")),
            created=_created(tree),
            tags=_texts(tree, "tags"),
            lineage=_texts(tree, "lineage"),
        )


def _tensor(spec: TensorSpec) -> dict[str, object]:
    tensor: dict[str, object] = {"name": spec.name, "datatype": spec.datatype.wire, "shape": list(spec.shape)}
    return {**tensor, "optional": True} if spec.optional else tensor


def _tree(text: bytes) -> _Table:
    if len(text) > MAX_MANIFEST_BYTES:
        raise LoadRefused(f"manifest.json has {len(text)} bytes, more than {MAX_MANIFEST_BYTES}")
    try:
        tree = json.loads(text.decode(), object_pairs_hook=_table, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise LoadRefused(f"{_FORM}: it is no JSON text in UTF-8, or too deeply nested") from error
    if not isinstance(tree, dict):
        raise LoadRefused(f"{_FORM}: it is no object")
    return tree


def _table(pairs: list[tuple[str, object]]) -> _Table:
    """Refuse a key given twice: readers differ in which one they take."""
    table: _Table = {}
    for key, value in pairs:
        if key in table:
            raise LoadRefused(f"manifest.json holds the key {shown(key)} twice")
        table[key] = value
    return table


def _no_number(text: str) -> None:
    raise LoadRefused(f"manifest.json holds {text}, which is no JSON number")


def _files(table: object) -> dict[str, FileDigest]:
    if not isinstance(table, dict) or not table:
        raise LoadRefused(f"{_FORM}: it lists no files")
    for name in table:
        if problem := name_problem(name) or ("describes the others" if name in (MANIFEST, SIGNATURE) else ""):
            raise LoadRefused(f"manifest.json lists the file {shown(name)}, which {problem}")
    if twice := both_file_and_folder(table):
        raise LoadRefused(f"manifest.json lists {shown(twice)} as a file and as a folder")
    return {name: _digest(name, entry) for name, entry in table.items()}


def _digest(name: str, entry: object) -> FileDigest:
    if not isinstance(entry, dict):
        raise LoadRefused(f"{_FORM}: the entry of {shown(name)} is no object")
    sha256, size = entry.get("sha256"), entry.get("size")
    if not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None:
        raise LoadRefused(f"manifest.json: the sha256 of {shown(name)} is not 64 lower-case hexadecimal digits")
    if not _is_count(size):
        raise LoadRefused(f"manifest.json: the size of {shown(name)} is {shown(str(size))}, not a count of bytes")
    return FileDigest(sha256, size)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _model(tree: _Table) -> str:
    name = tree.get("model", "")
    if not isinstance(name, str) or (name and not is_model_name(name)):
        raise LoadRefused(f"manifest.json: model is {shown(str(name))}, not a model's name")
    return name


def _count(tree: _Table, key: str, least: int = 0) -> int | None:
    value = tree.get(key)
    if value is None:
        return None
    if not _is_count(value) or value < least:
        raise LoadRefused(f"manifest.json: {key} is {shown(str(value))}, not a whole number from {least}")
    return value


def _opsets(tree: _Table) -> dict[str, int]:
    table = tree.get("opsets", {})
    if not isinstance(table, dict) or not all(map(_is_count, table.values())):
        raise LoadRefused('manifest.json: opsets is not of the form {"ai.onnx": 21}')
    return {_text(domain, "opsets"): number for domain, number in table.items()}


def _specs(tree: _Table, key: str) -> Iterator[TensorSpec]:
    tensors = tree.get(key, [])
    if not isinstance(tensors, list):
        raise LoadRefused(f"manifest.json: {key} is no list")
    for tensor in tensors:
        yield _spec(tensor if isinstance(tensor, dict) else {}, key)


def _spec(tensor: _Table, key: str) -> TensorSpec:
    name, datatype, shape = tensor.get("name"), DATATYPES.get(str(tensor.get("datatype"))), tensor.get("shape")
    sizes = shape if isinstance(shape, list) and all(size == -1 or _is_count(size) for size in shape) else None
    if not isinstance(name, str) or datatype is None or sizes is None:
        raise LoadRefused(f'manifest.json: an entry of {key} is not of the form {{"name": "x", "datatype": "FP32", "shape": [-1, 4]}}')
    return TensorSpec(_text(name, key), datatype, tuple(map(int, sizes)), optional=tensor.get("optional") is True)


def _created(tree: _Table) -> str:
    created = tree.get("created", "")
    try:
        return created if created == "" else datetime.fromisoformat(created).isoformat()
    except (TypeError, ValueError) as error:
        raise LoadRefused(f"manifest.json: created is {shown(str(created))}, not a time such as 2026-01-31T12:00:00+00:00") from error


def _texts(tree: _Table, key: str) -> dict[str, str]:
    table = tree.get(key, {})
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise LoadRefused(f"manifest.json: {key} is no object of texts")
    return {_text(name, key): _text(value, key) for name, value in table.items()}


def _text(text: str, key: str) -> str:
    """Return the text, unless it holds half a character: JSON can write one, and no answer could carry it."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise LoadRefused(f"manifest.json: {key} holds a text that is not valid Unicode: {shown(text)}")
    return text
