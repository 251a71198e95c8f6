"""The models that every server of the comparison serves: one ONNX file each, with seeded random weights.

All take batches of any size. The files are made when they are needed, for two of them are too large to keep in git.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import onnxruntime
from harness import ROOT, load_file

HEADER: Final = '<ir_version: 10, opset_import: ["": 20]>'
WIDE_LAYERS: Final = 8
LAYERS, HEADS, WIDTH, TOKENS, VOCABULARY = 4, 4, 256, 128, 30_522
_MLP: Final = load_file("build", ROOT / "tests" / "models" / "build.py").MLP

# It begins as a vision transformer does and ends at once: next to nothing to compute for the 588 KiB that come in.
_IMAGE: Final = """image (float[batch,3,224,224] X) => (float[batch,10] Y)
{
    patches = Conv <kernel_shape = [16, 16], strides = [16, 16]> (X, W1, b1)
    active = Relu (patches)
    mean = GlobalAveragePool (active)
    flat = Flatten (mean)
    Y = Gemm (flat, W2, b2)
}"""

_BEFORE: Final = """word = Gather (words, input_ids)
    placed = Add (word, places)
    x0 = LayerNormalization (placed, scale, shift)
    known = Cast <to = 1> (attention_mask)
    unknown = Sub (one, known)
    far = Mul (unknown, minus)
    apart = Unsqueeze (far, middle)"""

_LAYER: Final = """q@ = MatMul (x@, Wq@)
    k@ = MatMul (x@, Wk@)
    v@ = MatMul (x@, Wv@)
    qs@ = Reshape (q@, split)
    ks@ = Reshape (k@, split)
    vs@ = Reshape (v@, split)
    qh@ = Transpose <perm = [0, 2, 1, 3]> (qs@)
    kh@ = Transpose <perm = [0, 2, 3, 1]> (ks@)
    vh@ = Transpose <perm = [0, 2, 1, 3]> (vs@)
    dots@ = MatMul (qh@, kh@)
    even@ = Mul (dots@, evenly)
    open@ = Add (even@, apart)
    part@ = Softmax <axis = -1> (open@)
    seen@ = MatMul (part@, vh@)
    back@ = Transpose <perm = [0, 2, 1, 3]> (seen@)
    flat@ = Reshape (back@, join)
    out@ = MatMul (flat@, Wo@)
    sum@ = Add (x@, out@)
    y@ = LayerNormalization (sum@, scale, shift)
    up@ = MatMul (y@, Wu@)
    bent@ = Gelu (up@)
    down@ = MatMul (bent@, Wd@)
    more@ = Add (y@, down@)
    x+ = LayerNormalization (more@, scale, shift)"""

# The mean over the tokens that the mask lets in, as models of sentence embeddings end.
_AFTER: Final = """weight = Unsqueeze (known, last)
    kept = Mul (x+, weight)
    total = ReduceSum <keepdims = 0> (kept, first)
    tokens = ReduceSum <keepdims = 0> (weight, first)
    embedding = Div (total, tokens)"""


class Model(NamedTuple):
    """A graph in ONNX's text syntax, the shapes of its weights, and a request's worth of input."""

    name: str
    what: str
    graph: str
    weights: Mapping[str, tuple[int, ...]]
    constants: Mapping[str, np.ndarray[Any, Any]]
    row: Mapping[str, np.ndarray[Any, Any]]
    """One row of each input: shape [1, ...]."""
    as_bytes: bool = False
    """Whether the comparison asks with the tensor's bytes over HTTP too."""

    def expected(self, file: Path) -> np.ndarray[Any, Any]:
        """Return what the written model answers, flat."""
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, dict(self.row))[0]).ravel()

    def write(self, registry: Path) -> Path:
        """Write the model as version 1 of a registry in Triton's layout; returns the path of the file."""
        proto = onnx.parser.parse_model(HEADER + self.graph)
        random = np.random.default_rng(7)
        drawn = {name: _weight(random, shape) for name, shape in self.weights.items()}
        proto.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in (drawn | self.constants).items())
        onnx.checker.check_model(proto)
        path = registry / self.name / "1" / "model.onnx"
        path.parent.mkdir(parents=True)
        path.write_bytes(proto.SerializeToString(deterministic=True))
        return path


def _weight(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Draw so that activations neither fade nor grow from layer to layer."""
    return random.normal(0.0, np.prod(shape[:-1]) ** -0.5, shape).astype(np.float32)


def _floats(*shape: int) -> np.ndarray[Any, Any]:
    # Six decimals, as people send them: what JSON says is then what the bytes say.
    return np.random.default_rng(11).normal(size=(1, *shape)).round(6).astype(np.float32)


def _wide() -> Model:
    steps = [f"l{i} = Gemm (h{i}, W{i}, b{i})\n    h{i + 1} = Relu (l{i})" for i in range(WIDE_LAYERS)]
    body = "\n    ".join(["h0 = Identity (X)", *steps, f"Y = Gemm (h{WIDE_LAYERS}, Wy, by)"])
    weights = {f"W{i}": (1024, 1024) for i in range(WIDE_LAYERS)} | {f"b{i}": (1024,) for i in range(WIDE_LAYERS)}
    graph = f"wide (float[batch,1024] X) => (float[batch,10] Y)\n{{\n    {body}\n}}"
    return Model(
        "wide", f"perceptron 1024, {WIDE_LAYERS} x 1024, 10", graph, weights | {"Wy": (1024, 10), "by": (10,)}, {}, {"X": _floats(1024)}
    )


def _encoder() -> Model:
    layers = [_LAYER.replace("@", str(i)).replace("+", str(i + 1)) for i in range(LAYERS)]
    body = "\n    ".join([_BEFORE, *layers, _AFTER.replace("+", str(LAYERS))])
    inputs = f"int64[batch,{TOKENS}] input_ids, int64[batch,{TOKENS}] attention_mask"
    graph = f"encoder ({inputs}) => (float[batch,{WIDTH}] embedding)\n{{\n    {body}\n}}"
    weights: dict[str, tuple[int, ...]] = {"words": (VOCABULARY, WIDTH), "places": (TOKENS, WIDTH)}
    for i in range(LAYERS):
        weights |= {f"W{kind}{i}": (WIDTH, WIDTH) for kind in "qkvo"} | {f"Wu{i}": (WIDTH, 4 * WIDTH), f"Wd{i}": (4 * WIDTH, WIDTH)}
    ids = np.random.default_rng(11).integers(0, VOCABULARY, (1, TOKENS))
    row = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    what = f"Encoder of {LAYERS} layers, {WIDTH} wide, {TOKENS} tokens"
    return Model("encoder", what, graph, weights, _encoder_constants(), row)


def _encoder_constants() -> dict[str, np.ndarray[Any, Any]]:
    floats = {"one": 1.0, "minus": -1e4, "evenly": (WIDTH // HEADS) ** -0.5, "scale": [1.0] * WIDTH, "shift": [0.0] * WIDTH}
    ints = {"split": [0, 0, HEADS, WIDTH // HEADS], "join": [0, 0, WIDTH], "middle": [1, 2], "last": [2], "first": [1]}
    return {name: np.array(value, np.float32) for name, value in floats.items()} | {
        name: np.array(value, np.int64) for name, value in ints.items()
    }


_MLP_WEIGHTS: Final = {"W1": (64, 128), "b1": (128,), "W2": (128, 10), "b2": (10,)}
_IMAGE_WEIGHTS: Final = {"W1": (16, 3, 16, 16), "b1": (16,), "W2": (16, 10), "b2": (10,)}

_ALL: Final = (
    Model("mlp", "Perceptron 64, 128, 10", _MLP, _MLP_WEIGHTS, {}, {"X": _floats(64)}),
    _wide(),
    Model("image", "Image 3x224x224 through one convolution", _IMAGE, _IMAGE_WEIGHTS, {}, {"X": _floats(3, 224, 224)}, as_bytes=True),
    _encoder(),
)
MODELS: Final = {model.name: model for model in _ALL}
