"""What a published version says of itself, written and read."""

import json
from typing import Any

import pytest

from penstock.domain.errors import LoadRefused
from penstock.domain.tensor import DATATYPES, TensorSpec
from penstock.registry.manifest import MAX_MANIFEST_BYTES, FileDigest, Manifest

DIGEST = "0123456789abcdef" * 4
FULL = Manifest(
    files={"model.onnx": FileDigest(DIGEST, 3), "data/weights.bin": FileDigest(DIGEST, 0)},
    model="fraud",
    version=3,
    ir_version=10,
    opsets={"ai.onnx": 21, "ai.onnx.ml": 3},
    inputs=(TensorSpec("X", DATATYPES["FP32"], (-1, 4)), TensorSpec("mask", DATATYPES["BOOL"], (), optional=True)),
    outputs=(TensorSpec("Y", DATATYPES["BYTES"], (-1,)),),
    created="2026-01-31T12:00:00+00:00",
    tags={"team": "risk", "note": "line\nbreak"},
    lineage={"commit": "abc", "run": "42"},
)


def text(**changes: Any) -> bytes:
    """Return the text of a small manifest with changes."""
    return json.dumps({"files": {"model.onnx": {"sha256": DIGEST, "size": 3}}, **changes}).encode()


def refusal(content: bytes) -> str:
    """Return why a text is refused."""
    with pytest.raises(LoadRefused) as refused:
        Manifest.decode(content)
    return refused.value.message


def test_what_is_written_is_read() -> None:
    """All of it; and the same content is the same text, in whatever order it came."""
    reordered = Manifest(
        **{name: getattr(FULL, name) for name in FULL.__slots__ if name != "files"}, files=dict(reversed(FULL.files.items()))
    )

    assert Manifest.decode(FULL.encode()) == FULL
    assert reordered.encode() == FULL.encode()


def test_files_alone_are_enough() -> None:
    """As in a manifest that a person wrote."""
    found = Manifest.decode(text())

    assert (found.model, found.version, found.inputs, found.created, dict(found.tags)) == ("", None, (), "", {})
    assert Manifest.decode(found.encode()) == found


def test_zero_is_written_as_what_it_is() -> None:
    """A count of nothing is not nothing."""
    found = Manifest.decode(text(ir_version=0))

    assert found.ir_version == 0
    assert Manifest.decode(found.encode()) == found


def test_unknown_keys_are_skipped() -> None:
    """A later release may add facts."""
    assert Manifest.decode(text(future={"x": 1})) == Manifest.decode(text())


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "a\\b", "..", "a\nb", "a\0b", "\ud800", "x" * 256, "a/" * 600 + "a"],
    ids=lambda name: ascii(name)[:20],
)
def test_name_that_leads_elsewhere_is_refused(name: str) -> None:
    """Only plain paths below the version are files of it."""
    assert "manifest.json lists the file" in refusal(text(files={name: {"sha256": DIGEST, "size": 1}}))


@pytest.mark.parametrize("name", ["manifest.json", "model.sig"])
def test_manifest_lists_neither_itself_nor_its_signature(name: str) -> None:
    """Neither can be known when it is written."""
    assert f"the file '{name}', which describes the others" in refusal(text(files={name: {"sha256": DIGEST, "size": 1}}))


def test_folder_that_is_also_a_file_is_refused() -> None:
    """No disk can hold both."""
    entry = {"sha256": DIGEST, "size": 1}

    assert "'a/b' as a file and as a folder" in refusal(text(files={"a/b/c": entry, "a/b": entry}))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "is not of the form", id="empty"),
        pytest.param(b"[]", "it is no object", id="list"),
        pytest.param(b"\xff", "no JSON text in UTF-8", id="no-utf-8"),
        pytest.param(b"\xef\xbb\xbf{}", "no JSON text in UTF-8", id="byte-order-mark"),
        pytest.param(b"[" * 100_000, "too deeply nested", id="nested"),
        pytest.param(b'{"files": {}}', "it lists no files", id="no-files"),
        pytest.param(b'{"files": {"a": {"sha256": "x", "sha256": "y"}}}', "the key 'sha256' twice", id="key-twice"),
        pytest.param(b'{"files": {"a": 1, "a": 2}}', "the key 'a' twice", id="file-twice"),
        pytest.param(b'{"files": {"a": {"size": NaN}}}', "holds NaN", id="nan"),
        pytest.param(b'{"files": {"a": {"size": ' + b"9" * 5000 + b"}}}", "no JSON text", id="endless-number"),
        pytest.param(text(files={"a": "text"}), "the entry of 'a' is no object", id="entry-no-object"),
        pytest.param(text(files={"a": {"sha256": DIGEST[1:], "size": 1}}), "not 64 lower-case hex", id="digest-short"),
        pytest.param(text(files={"a": {"sha256": DIGEST.upper(), "size": 1}}), "not 64 lower-case hex", id="digest-upper"),
        pytest.param(text(files={"a": {"sha256": DIGEST}}), "the size of 'a' is 'None'", id="no-size"),
        pytest.param(text(files={"a": {"sha256": DIGEST, "size": -1}}), "the size of 'a' is '-1'", id="negative-size"),
        pytest.param(text(files={"a": {"sha256": DIGEST, "size": True}}), "the size of 'a' is 'True'", id="size-bool"),
        pytest.param(text(files={"a": {"sha256": DIGEST, "size": 1.5}}), "the size of 'a' is '1.5'", id="size-float"),
        pytest.param(text(model="../x"), "model is '../x'", id="model"),
        pytest.param(text(model=3), "model is '3'", id="model-number"),
        pytest.param(text(version=0), "version is '0'", id="version-zero"),
        pytest.param(text(version="3"), "version is '3'", id="version-text"),
        pytest.param(text(ir_version=[]), "ir_version is '[]'", id="ir-version"),
        pytest.param(text(opsets={"ai.onnx": "x"}), "opsets is not of the form", id="opsets"),
        pytest.param(text(inputs={}), "inputs is no list", id="inputs"),
        pytest.param(text(inputs=[1]), "an entry of inputs is not of the form", id="input"),
        pytest.param(text(outputs=[{"name": "Y", "datatype": "FP31", "shape": [1]}]), "an entry of outputs", id="datatype"),
        pytest.param(text(outputs=[{"name": "Y", "datatype": "FP32", "shape": [-2]}]), "an entry of outputs", id="shape"),
        pytest.param(text(created="yesterday"), "created is 'yesterday'", id="created"),
        pytest.param(text(created=5), "created is '5'", id="created-number"),
        pytest.param(text(tags={"a": 1}), "tags is no object of texts", id="tags"),
        pytest.param(text(lineage=[]), "lineage is no object of texts", id="lineage"),
        pytest.param(text(tags={"a": "\ud800"}), "tags holds a text that is not valid Unicode", id="half-a-character"),
        pytest.param(b" " * (MAX_MANIFEST_BYTES + 1), "more than 4194304", id="huge"),
    ],
)
def test_malformed_manifest_is_refused_with_the_reason(content: bytes, words: str) -> None:
    """Whatever it is, it is not taken for something else."""
    assert words in refusal(content)


def test_manifest_that_would_be_refused_is_not_written() -> None:
    """A publisher hears of it, not the servers."""
    with pytest.raises(LoadRefused, match="tags holds a text"):
        Manifest(files=FULL.files, tags={"a": "\ud800"}).encode()
