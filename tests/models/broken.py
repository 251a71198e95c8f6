"""Write versions that must not become ready, a model `broken_<kind>` each: `python tests/models/broken.py DIR`."""

import io
import pickle
import sys
import zipfile
from pathlib import Path

import onnx
import onnx.parser

WEIGHTS = bytes(16)

GRAPH = """broken (float[batch,4] X) => (float[batch,4] Y)
<float[4] W = {1.0, 2.0, 3.0, 4.0}>
{
    Y = Add (X, W)
}"""

UNKNOWN_OPERATOR = """broken (float[batch,4] X) => (float[batch,4] Y)
{
    Y = com.example.Frobnicate (X)
}"""

COMPLEX_INPUT = "broken (complex64[batch,4] X) => (complex64[batch,4] Y) { Y = Identity (X) }"

SEQUENCE_INPUT = "broken (seq(float[n]) X) => (int64 Y) { Y = SequenceLength (X) }"


def broken_versions(root: Path) -> dict[str, Path]:
    """Write every broken model under `root`; return the version directory of each kind.

    ONNX Runtime itself would load `sequence_input`: it is broken because no wire of ours can carry a sequence.
    """
    versions = write_bad_files(root) | write_bad_data(root) | write_bad_graphs(root)
    versions["missing_model"] = version_directory(root, "missing_model")
    return versions


def write_bad_files(root: Path) -> dict[str, Path]:
    """Write the versions whose `model.onnx` is no ONNX model at all."""
    whole = parse(GRAPH).SerializeToString()
    contents = {
        "empty": b"",
        "truncated": whole[: len(whole) // 2],
        "text": b"404: Not Found\n",
        "zip": zipped(whole),
        "pickle": pickle.dumps({"weights": [1.0, 2.0, 3.0, 4.0]}),
    }
    return {kind: write_version(root, kind, content) for kind, content in contents.items()}


def write_bad_data(root: Path) -> dict[str, Path]:
    """Write the versions whose external data is missing, too short or outside their directory.

    Where the path leads outside, a fitting file does lie there: a loader that follows the path would succeed.
    """
    outside = root / "broken_absolute_data" / "weights.bin"
    locations = {
        "missing_data": "weights.bin",
        "short_data": "weights.bin",
        "absolute_data": str(outside.resolve()),
        "parent_data": "../weights.bin",
    }
    versions = {kind: write_version(root, kind, with_data_at(location)) for kind, location in locations.items()}
    (versions["short_data"] / "weights.bin").write_bytes(WEIGHTS[:-4])
    (versions["parent_data"].parent / "weights.bin").write_bytes(WEIGHTS)
    outside.write_bytes(WEIGHTS)
    return versions


def write_bad_graphs(root: Path) -> dict[str, Path]:
    """Write the versions that are ONNX, but not for this engine."""
    models = {
        "new_opset": parse(GRAPH, "", 99),
        "unknown_domain": parse(UNKNOWN_OPERATOR, "com.example", 1),
        "complex_input": parse(COMPLEX_INPUT),
        "sequence_input": parse(SEQUENCE_INPUT),
    }
    return {kind: write_version(root, kind, model.SerializeToString()) for kind, model in models.items()}


def with_data_at(location: str) -> bytes:
    """Return the model whose weights lie in the external file `location`."""
    model = parse(GRAPH)
    weights = model.graph.initializer[0]
    weights.ClearField("float_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(WEIGHTS)))):
        weights.external_data.add(key=key, value=value)
    return model.SerializeToString()


def zipped(content: bytes) -> bytes:
    """Return a zip archive that holds the model."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("model.onnx", content)
    return archive.getvalue()


def parse(graph: str, domain: str = "", opset: int = 17) -> onnx.ModelProto:
    """Return the model of a graph in text; it imports one operator set, by default ONNX's own."""
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["{domain}": {opset}]>{graph}')


def write_version(root: Path, kind: str, content: bytes) -> Path:
    """Write `content` as version 1 of the model `broken_<kind>`; return the version's directory."""
    directory = version_directory(root, kind)
    (directory / "model.onnx").write_bytes(content)
    return directory


def version_directory(root: Path, kind: str) -> Path:
    """Return the directory of version 1 of `broken_<kind>`, which is made if need be."""
    directory = root / f"broken_{kind}" / "1"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


if __name__ == "__main__":
    broken_versions(Path(sys.argv[1]))
