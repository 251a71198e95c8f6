"""Write the tiny models that the tests serve, in Triton's layout: `python tests/models/build.py DIR`.

Each graph is written in ONNX's text syntax, so that a fixture can be read where it is made. The file stands alone (it
imports nothing of ours): it runs as a script and under whatever name the tests import it.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser

HEADER = '<ir_version: 8, opset_import: ["": 17]>'

# 305-330 ms per run with one intra-op thread on the 2-core x86 machine of development; 1,000 rounds take about 7 ms.
SLOW_ROUNDS = 45_000

TRITON_TYPES: dict[int, str] = {
    onnx.TensorProto.BOOL: "TYPE_BOOL",
    onnx.TensorProto.UINT8: "TYPE_UINT8",
    onnx.TensorProto.UINT16: "TYPE_UINT16",
    onnx.TensorProto.UINT32: "TYPE_UINT32",
    onnx.TensorProto.UINT64: "TYPE_UINT64",
    onnx.TensorProto.INT8: "TYPE_INT8",
    onnx.TensorProto.INT16: "TYPE_INT16",
    onnx.TensorProto.INT32: "TYPE_INT32",
    onnx.TensorProto.INT64: "TYPE_INT64",
    onnx.TensorProto.FLOAT16: "TYPE_FP16",
    onnx.TensorProto.BFLOAT16: "TYPE_BF16",
    onnx.TensorProto.FLOAT: "TYPE_FP32",
    onnx.TensorProto.DOUBLE: "TYPE_FP64",
    onnx.TensorProto.STRING: "TYPE_STRING",
}

IDENTITIES = {
    "id_fp32": "float",
    "id_fp16": "float16",
    "id_bf16": "bfloat16",
    "id_fp64": "double",
    "id_i8": "int8",
    "id_i16": "int16",
    "id_i32": "int32",
    "id_i64": "int64",
    "id_u8": "uint8",
    "id_u16": "uint16",
    "id_u32": "uint32",
    "id_u64": "uint64",
    "id_bool": "bool",
    "id_str": "string",
}

ADDSUB = """addsub (int32[batch,16] INPUT0, int32[batch,16] INPUT1)
    => (int32[batch,16] OUTPUT0, int32[batch,16] OUTPUT1)
{
    OUTPUT0 = Add(INPUT0, INPUT1)
    OUTPUT1 = Sub(INPUT0, INPUT1)
}"""

ADDSUB_SWAPPED = ADDSUB.replace("Add", "TMP").replace("Sub", "Add").replace("TMP", "Sub")

BOOM = """boom (int64[n] I) => (float[n] Y)
<float[4] table = {0.0, 1.0, 2.0, 3.0}>
{
    Y = Gather <axis = 0> (table, I)
}"""

# Version 1 knows more numbers than version 2, which therefore fails on some that it answers.
LOOKUP = BOOM.replace("boom", "lookup")
LOOKUP_WIDER = LOOKUP.replace("float[4]", "float[8]").replace("3.0}", "3.0, 4.0, 5.0, 6.0, 7.0}")

# Each round multiplies by the identity matrix: honest work that leaves Y equal to X.
SLOW = """slow (float[batch,1] X) => (float[batch,1] Y)
<int64 rounds = {ROUNDS}, bool go = {1}, int64[2] square = {256, 256}, float[1,256] ones = {ONES}>
{
    zeros = ConstantOfShape (square)
    eye = EyeLike (zeros)
    wide = MatMul (X, ones)
    done = Loop (rounds, go, wide) <body = turn (int64 i, bool go_on, float[batch,256] before)
        => (bool go_on_after, float[batch,256] after)
    {
        go_on_after = Identity (go_on)
        after = MatMul (before, eye)
    }>
    Y = ReduceMax <axes = [1], keepdims = 1> (done)
}"""

# Asks for 4 bytes times the largest N of a batch, and answers with N.
HOG = """hog (int64[batch,1] N) => (int64[batch,1] Y)
<int64 zero = {0}>
{
    most = ReduceMax <axes = [0], keepdims = 0> (N)
    ones = ConstantOfShape <value = float[1] {1.0}> (most)
    sum = ReduceSum <keepdims = 0> (ones)
    whole = Cast <to = 7> (sum)
    nothing = Mul (whole, zero)
    Y = Add (N, nothing)
}"""

OPTIONAL_IN = """optional_in (float[batch,4] X, float[4] bias = {1.0, 2.0, 3.0, 4.0}) => (float[batch,4] Y)
{
    Y = Add (X, bias)
}"""

SCALAR = """scalar (float X) => (float Y)
{
    Y = Add (X, X)
}"""

MULTI = """multi (float[batch,2] floats, int64[batch,3] ints, string[batch,1] texts)
    => (float[batch,2] doubled, int64[batch,1] total, string[batch,1] same)
<int64[1] last = {1}>
{
    doubled = Add (floats, floats)
    total = ReduceSum <keepdims = 1> (ints, last)
    same = Identity (texts)
}"""

# Wrong to batch: every row's answer depends on the rows beside it.
MIXES_ROWS = """mixes_rows (float[batch,4] X) => (float[batch,4] Y)
{
    mean = ReduceMean <axes = [0], keepdims = 1> (X)
    Y = Sub (X, mean)
}"""

TAGGED = """tagged (float[batch,4] X) => (float[batch,4] Y, int64[batch] version)
{
    Y = Identity (X)
    rows = Shape <start = 0, end = 1> (X)
    version = ConstantOfShape <value = int64[1] {VERSION}> (rows)
}"""

WATCHED = """watched (float[batch,64] X) => (float[batch,1] Y)
<float factor = {FACTOR}, int64[1] axes = {1}>
{
    sum = ReduceSum <keepdims = 1> (X, axes)
    Y = Mul (sum, factor)
}"""

# A primary and its shadows: all take X [batch,4] and answer with class scores, the plain one with twice the input.
SHADOWED: dict[str, str] = {
    "plain": """plain (float[batch,4] X) => (float[batch,4] Y)
{
    Y = Add (X, X)
}""",
    # Answers otherwise, and with another class, where the first number is above 0.995.
    "rare": """rare (float[batch,4] X) => (float[batch,4] Y)
<float limit = {0.995}, float[4] surprise = {0.0, 0.0, 0.0, 10.0}, int64[1] zero = {0}, int64[1] one = {1}, int64[1] axis = {1}>
{
    doubled = Add (X, X)
    first = Slice (X, zero, one, axis)
    high = Greater (first, limit)
    step = Cast <to = 1> (high)
    more = Mul (step, surprise)
    Y = Add (doubled, more)
}""",
    # The same numbers up to rounding: a sum in another order.
    "rounded": """rounded (float[batch,4] X) => (float[batch,4] Y)
<float bit = {1.000001}>
{
    doubled = Add (X, X)
    Y = Mul (doubled, bit)
}""",
    "nan": """nan (float[batch,4] X) => (float[batch,4] Y)
<float far = {100.0}>
{
    below = Sub (X, far)
    Y = Sqrt (below)
}""",
    "shape": """shape (float[batch,4] X) => (float[batch,8] Y)
{
    Y = Concat <axis = 1> (X, X)
}""",
    "datatype": """datatype (float[batch,4] X) => (double[batch,4] Y)
{
    doubled = Add (X, X)
    Y = Cast <to = 11> (doubled)
}""",
    "renamed": """renamed (float[batch,4] X) => (float[batch,4] Z)
{
    Z = Add (X, X)
}""",
    "input": """input (float[batch,3] X) => (float[batch,3] Y)
{
    Y = Add (X, X)
}""",
    # Fails where the first number is 200 or more, as none is when the version is warmed up.
    "failing": """failing (float[batch,4] X) => (float[batch,4] Y)
<float[2] table = {0.0, 0.0}, float hundred = {100.0}, int64[1] zero = {0}, int64[1] one = {1}, int64[1] axis = {1}>
{
    first = Slice (X, zero, one, axis)
    part = Div (first, hundred)
    low = Floor (part)
    place = Cast <to = 7> (low)
    none = Gather <axis = 0> (table, place)
    doubled = Add (X, X)
    Y = Add (doubled, none)
}""",
    "slow": """slow (float[batch,4] X) => (float[batch,4] Y)
<int64 rounds = {ROUNDS}, bool go = {1}, int64[2] square = {256, 256}, float[4,256] ones = {ONES}>
{
    zeros = ConstantOfShape (square)
    eye = EyeLike (zeros)
    wide = MatMul (X, ones)
    done = Loop (rounds, go, wide) <body = turn (int64 i, bool go_on, float[batch,256] before)
        => (bool go_on_after, float[batch,256] after)
    {
        go_on_after = Identity (go_on)
        after = MatMul (before, eye)
    }>
    spent = ReduceMax <axes = [1], keepdims = 1> (done)
    none = Sub (spent, spent)
    doubled = Add (X, X)
    Y = Add (doubled, none)
}""",
}

MLP = """mlp (float[batch,64] X) => (float[batch,10] Y)
{
    linear = Gemm (X, W1, b1)
    hidden = Relu (linear)
    Y = Gemm (hidden, W2, b2)
}"""

# One layer of attention: an output with the tokens' length, one without, and neither hears of what the mask hides.
ENCODER = """encoder (int64[batch,length] tokens, int64[batch,length] mask)
    => (float[batch,length,WIDTH] hidden, float[batch,WIDTH] pooled)
<int64[1] along = {1}, int64[1] across = {2}, float one = {1.0}, float far = {-1e9}>
{
    embedded = Gather (table, tokens)
    queries = MatMul (embedded, Wq)
    keys = MatMul (embedded, Wk)
    values = MatMul (embedded, Wv)
    turned = Transpose <perm = [0, 2, 1]> (keys)
    scores = MatMul (queries, turned)
    real = Cast <to = 1> (mask)
    absent = Sub (one, real)
    distance = Mul (absent, far)
    away = Unsqueeze (distance, along)
    heard = Add (scores, away)
    weights = Softmax <axis = -1> (heard)
    hidden = MatMul (weights, values)
    column = Unsqueeze (real, across)
    kept = Mul (hidden, column)
    total = ReduceSum <keepdims = 0> (kept, along)
    count = ReduceSum <keepdims = 1> (real, along)
    pooled = Div (total, count)
}"""

ENCODER_PAD = """[pad.tokens]
axis = 1
value = 0
mask = "mask"
"""

# Wrong to pad: the mean over a row's length counts the padding.
PLAIN_MEAN = """plain_mean (float[batch,n] X) => (float[batch] Y)
{
    Y = ReduceMean <axes = [1], keepdims = 0> (X)
}"""

EXTERNAL = """external (float[batch,4] X) => (float[batch,4] Y)
{
    Y = Add (X, W)
}"""


def build_registry(root: Path) -> None:
    """Write every fixture model under `root`, replacing files of the same names."""
    write_configured(root)
    write_slow(root)
    write_plain(root)
    write_mlp(root)
    write_external(root)
    write_folder(root)
    write_tagged(root, 1)


def write_configured(root: Path) -> None:
    """Write the models that carry a config.pbtxt, as the conformance cases name them."""
    write_versioned_addsub(root)
    write_configured_model(root, "addsub_nb", ADDSUB.replace("batch,", ""), 0)
    for name, element in IDENTITIES.items():
        write_configured_model(root, name, identity(name, element, "batch,n"), 8)
    write_configured_model(root, "id_free", identity("id_free", "float", "m,n"), 0)
    write_configured_model(root, "id_vec", identity("id_vec", "float", "n"), 0)
    write_configured_model(root, "scores", identity("scores", "float", "batch,4"), 8)
    write_configured_model(root, "boom", BOOM, 0)


def write_versioned_addsub(root: Path) -> None:
    """Write addsub with the versions 1 and 3, both served; version 3 swaps the outputs."""
    write_configured_model(root, "addsub", ADDSUB, 8, "version_policy: { all {} }")
    save(parse(ADDSUB_SWAPPED), root / "addsub" / "3")


def write_slow(root: Path, rounds: int = SLOW_ROUNDS) -> None:
    """Write a model whose run takes long (300 ms by default) and whose queue holds two requests."""
    graph = SLOW.replace("ROUNDS", str(rounds)).replace("ONES", ", ".join(["1.0"] * 256))
    queue = "dynamic_batching { default_queue_policy { max_queue_size: 2 } }"
    write_configured_model(root, "slow", graph, 1, queue, "instance_group [ { count: 1 kind: KIND_CPU } ]")


def write_hog(root: Path) -> None:
    """Write a model that takes as much memory as its input says."""
    save(parse(HOG), root / "hog" / "1")


def write_plain(root: Path) -> None:
    """Write the one-graph models that come without a config.pbtxt."""
    save(parse(OPTIONAL_IN), root / "optional_in" / "1")
    save(parse(SCALAR), root / "scalar" / "1")
    save(parse(MULTI), root / "multi" / "1")
    save(parse(MIXES_ROWS), root / "mixes_rows" / "1")
    save(parse(identity("zero_ok", "float", "batch,n")), root / "zero_ok" / "1")


def write_shadowed(root: Path, name: str, kinds: Sequence[str], rounds: int = SLOW_ROUNDS) -> None:
    """Write a model whose versions 1, 2 and so on are of these kinds of `SHADOWED`, all of them served."""
    for number, kind in enumerate(kinds, 1):
        graph = SHADOWED[kind].replace("ROUNDS", str(rounds)).replace("ONES", ", ".join(["1.0"] * 1024))
        save(parse(graph), root / name / str(number))
    (root / name / "model.toml").write_text('versions = "all"\n')


def write_mlp(root: Path) -> None:
    """Write the 64-128-10 perceptron of the benchmarks, with seeded random weights."""
    random = np.random.default_rng(7)
    weights = {"W1": (64, 128), "b1": (128,), "W2": (128, 10), "b2": (10,)}
    model = onnx.parser.parse_model(HEADER + MLP)
    for name, shape in weights.items():
        values = random.normal(0.0, 0.1, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    save(model, root / "mlp" / "1")


def write_encoder(root: Path, name: str = "encoder", width: int = 16) -> None:
    """Write an encoder of 50 words, with seeded random weights and the declaration of how its tokens are padded."""
    random = np.random.default_rng(11)
    shapes = {"table": (50, width), "Wq": (width, width), "Wk": (width, width), "Wv": (width, width)}
    weights = {key: random.normal(0.0, 0.5, shape).astype(np.float32) for key, shape in shapes.items()}
    write_graph(ENCODER.replace("WIDTH", str(width)), root / name / "1" / "model.onnx", weights)
    (root / name / "model.toml").write_text(ENCODER_PAD)


def write_graph(graph: str, path: Path, weights: Mapping[str, np.ndarray[Any, Any]] | None = None) -> None:
    """Write a graph in ONNX's text syntax, with weights by name."""
    model = onnx.parser.parse_model(HEADER + graph)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in (weights or {}).items())
    path.parent.mkdir(parents=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_external(root: Path) -> None:
    """Write a model whose weights 10, 20, 30, 40 lie in `weights.bin` beside it."""
    write_with_weights_file(root / "external" / "1")


def write_folder(root: Path) -> None:
    """Write the same model where `model.onnx` is a directory of model and weights, as Triton allows."""
    write_with_weights_file(root / "folder" / "1" / "model.onnx")


def write_tagged(root: Path, version: int) -> None:
    """Write one version of `tagged`, which answers with its input and its own version number."""
    save(parse(TAGGED.replace("VERSION", str(version))), root / "tagged" / str(version))


def write_watched(root: Path, name: str, *factors: float) -> None:
    """Write a model of 64 numbers whose version N answers with N's factor times their sum; the last is the challenger."""
    for number, factor in enumerate(factors, 1):
        graph = WATCHED.replace("FACTOR", str(factor))
        save(parse(graph), root / name / str(number))
    (root / name / "aliases.json").write_text(f'{{"champion": "1", "challenger": "{len(factors)}"}}')


def write_lookup(root: Path, name: str) -> None:
    """Write a model with the champion 1, which answers 0 to 7, and the challenger 2, which fails from 4 on."""
    save(parse(LOOKUP_WIDER), root / name / "1")
    save(parse(LOOKUP), root / name / "2")
    (root / name / "aliases.json").write_text('{"champion": "1", "challenger": "2"}')


def write_configured_model(root: Path, name: str, graph: str, max_batch_size: int, *settings: str) -> None:
    """Write version 1 of a model and its config.pbtxt with `settings` as further lines."""
    model = parse(graph)
    save(model, root / name / "1")
    lines = [f'name: "{name}"', 'platform: "onnxruntime_onnx"', f"max_batch_size: {max_batch_size}"]
    lines += [f"input [ {tensor_config(value, max_batch_size)} ]" for value in model.graph.input]
    lines += [f"output [ {tensor_config(value, max_batch_size)} ]" for value in model.graph.output]
    (root / name / "config.pbtxt").write_text("\n".join([*lines, *settings, ""]))


def tensor_config(value: onnx.ValueInfoProto, max_batch_size: int) -> str:
    """Return Triton's text for one input or output; its dims leave the batch dimension out."""
    tensor = value.type.tensor_type
    dims = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
    own_dims = dims[1:] if max_batch_size else dims
    return f'{{ name: "{value.name}" data_type: {TRITON_TYPES[tensor.elem_type]} dims: {own_dims} }}'


def write_with_weights_file(directory: Path) -> None:
    """Write `model.onnx` and the external data that it names into `directory`."""
    model = onnx.parser.parse_model(HEADER + EXTERNAL)
    model.graph.initializer.append(weights_in_file("weights.bin"))
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "weights.bin").write_bytes(np.array([10, 20, 30, 40], dtype="<f4").tobytes())
    save(model, directory)


def weights_in_file(location: str) -> onnx.TensorProto:
    """Return the tensor W [4] whose bytes lie in the file `location`."""
    tensor = onnx.TensorProto(name="W", data_type=onnx.TensorProto.FLOAT, dims=[4])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def identity(name: str, element: str, shape: str) -> str:
    """Return the text of a graph that answers with its input."""
    return f"{name} ({element}[{shape}] X) => ({element}[{shape}] Y) {{ Y = Identity (X) }}"


def parse(graph: str) -> onnx.ModelProto:
    """Return the model of a graph in text, checked."""
    model = onnx.parser.parse_model(HEADER + graph)
    onnx.checker.check_model(model)
    return model


def save(model: onnx.ModelProto, directory: Path) -> None:
    """Write `model.onnx` into `directory`, which is made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    build_registry(Path(sys.argv[1]))
