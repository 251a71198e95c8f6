"""Real graphs behind the session's protocol."""

import ctypes
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from penstock.domain.errors import BadArtifact, DeadlineExceeded, LoadRefused, ModelFailed, Overloaded
from penstock.domain.tensor import DATATYPES, Array
from penstock.execution import session as session_module
from penstock.execution.devices import Device
from penstock.execution.session import OrtSession, SessionSettings, engine_text

OpenGraph = Callable[..., OrtSession]
CPU = SessionSettings(Device("cpu"))
ELEMENTS = {datatype.wire: datatype.onnx.removeprefix("tensor(")[:-1] for datatype in DATATYPES.values()}


def sample(name: str) -> Array:
    """Return values of a datatype, its extremes among them."""
    dtype = DATATYPES[name].dtype
    if name == "BYTES":
        return np.array([["", "a\0b", "ä☃"], ["\0", "x" * 300, " "]], dtype=object)
    if name == "BF16":
        return np.array([[0, 0x3F80, 0xFF80], [0x7FC0, 1, 0x8000]], dtype=dtype)
    if dtype.kind == "f":
        return np.array([[0, 1.5, -np.inf], [np.nan, -0.0, np.finfo(dtype).max]], dtype=dtype)
    if dtype.kind == "b":
        return np.array([[True, False, True], [False, True, True]])
    return np.array([[0, 1, np.iinfo(dtype).max], [np.iinfo(dtype).min, 2, 3]], dtype=dtype)


@pytest.mark.parametrize("name", DATATYPES)
def test_values_of_every_datatype_come_back_as_they_went_in(open_graph: OpenGraph, models: ModuleType, name: str) -> None:
    """Bit for bit, texts with NUL included, and also without any rows."""
    session = open_graph(models.identity("g", ELEMENTS[name], "batch,n"))
    values = sample(name)

    for array in (values, values[:0]):
        (output,) = session.run({"X": array}, ["Y"])

        assert (output.shape, output.dtype) == (array.shape, array.dtype)
        assert output.tobytes() == array.tobytes() if name != "BYTES" else output.tolist() == array.tolist()


@pytest.mark.parametrize("name", DATATYPES)
def test_tensor_of_rank_0_goes_through(open_graph: OpenGraph, models: ModuleType, name: str) -> None:
    """A scalar is a tensor without dimensions."""
    session = open_graph(f"g ({ELEMENTS[name]} X) => ({ELEMENTS[name]} Y) {{ Y = Identity (X) }}")
    scalar = sample(name)[1, 1]

    (output,) = session.run({"X": np.array(scalar, dtype=DATATYPES[name].dtype)}, ["Y"])

    assert output.shape == ()
    assert output.item() == scalar
    assert session.schema.inputs[0].shape == ()


@pytest.mark.parametrize("name", ["FP32", "BF16", "BYTES"])
def test_array_that_is_not_contiguous_goes_in_right(open_graph: OpenGraph, models: ModuleType, name: str) -> None:
    """A view with strides means its elements, not the bytes behind them."""
    session = open_graph(models.identity("g", ELEMENTS[name], "batch,n"))
    view = sample(name)[:, ::2]

    (output,) = session.run({"X": view}, ["Y"])

    assert output.tolist() == view.tolist() or output.tobytes() == np.ascontiguousarray(view).tobytes()


def test_outputs_come_in_the_order_asked(open_graph: OpenGraph, models: ModuleType) -> None:
    """Each output alone, or all in any order."""
    session = open_graph(models.ADDSUB)
    inputs = {"INPUT0": np.full((1, 16), 5, np.int32), "INPUT1": np.full((1, 16), 2, np.int32)}

    both = session.run(inputs, ["OUTPUT1", "OUTPUT0"])
    one = session.run(inputs, ["OUTPUT0"])

    assert [array[0, 0] for array in both] == [3, 7]
    assert [array[0, 0] for array in one] == [7]


def test_optional_input_may_be_left_out(open_graph: OpenGraph, models: ModuleType) -> None:
    """Its default stands in for it, and what is given wins."""
    session = open_graph(models.OPTIONAL_IN)
    zeros = np.zeros((1, 4), np.float32)

    (default,) = session.run({"X": zeros}, ["Y"])
    (given,) = session.run({"X": zeros, "bias": np.full(4, 9, np.float32)}, ["Y"])

    assert default.tolist() == [[1, 2, 3, 4]]
    assert given.tolist() == [[9, 9, 9, 9]]


def test_schema_tells_names_types_shapes_and_rows(open_graph: OpenGraph, models: ModuleType) -> None:
    """As the graph declares them."""
    schema = open_graph(models.MULTI).schema

    assert [(spec.name, spec.datatype.wire, spec.shape) for spec in schema.inputs] == [
        ("floats", "FP32", (-1, 2)),
        ("ints", "INT64", (-1, 3)),
        ("texts", "BYTES", (-1, 1)),
    ]
    assert schema.output_names == ("doubled", "total", "same")
    assert schema.batched


@pytest.mark.parametrize(
    ("graph", "declared", "batched", "note"),
    [
        pytest.param("g (float[n,2] X) => (float[n,2] Y) { Y = Identity (X) }", None, True, None, id="variable-first"),
        pytest.param("g (float[n,2] X) => (float[n,2] Y) { Y = Identity (X) }", 8, True, None, id="declared-8"),
        pytest.param("g (float[n,2] X) => (float[n,2] Y) { Y = Identity (X) }", 0, False, "max_batch_size 0", id="declared-0"),
        pytest.param("g (float[1,2] X) => (float[1,2] Y) { Y = Identity (X) }", None, False, "first dimension", id="fixed"),
        pytest.param("g (float X) => (float Y) { Y = Identity (X) }", None, False, "first dimension", id="rank-0"),
        pytest.param(
            "g (float[n,4] X, float[4] b = {1.0, 2.0, 3.0, 4.0}) => (float[n,4] Y) { Y = Add (X, b) }",
            None,
            False,
            "optional inputs have no rows",
            id="optional-input",
        ),
        pytest.param(
            "g () => (float[n] Y) <float[2] c = {1.0, 2.0}> { Y = Identity (c) }",
            None,
            False,
            "first dimension",
            id="no-inputs",
        ),
    ],
)
def test_rows_are_batched_where_every_first_dimension_varies(
    open_graph: OpenGraph, graph: str, declared: int | None, batched: bool, note: str | None
) -> None:
    """Otherwise a note says why not."""
    schema = open_graph(graph, declared).schema

    assert schema.batched is batched
    assert schema.max_batch_rows == (declared or None)
    assert (note in schema.notes[0]) if note else schema.notes == ()


def test_declared_batch_size_of_a_graph_without_batch_is_refused(open_graph: OpenGraph) -> None:
    """What the author declares must be true of the graph."""
    with pytest.raises(LoadRefused, match="max_batch_size 4"):
        open_graph("g (float[1,2] X) => (float[1,2] Y) { Y = Identity (X) }", 4)


@pytest.mark.parametrize(
    ("graph", "kind"),
    [
        ("g (seq(float[n]) X) => (int64 Y) { Y = SequenceLength (X) }", "seq"),
        ("g (complex64[n] X) => (complex64[n] Y) { Y = Identity (X) }", "complex64"),
    ],
)
def test_type_that_no_wire_carries_is_refused(tmp_path: Path, models: ModuleType, graph: str, kind: str) -> None:
    """The refusal comes at the load, not at the first request."""
    models.save(models.parse(graph), tmp_path)

    with pytest.raises((LoadRefused, BadArtifact), match=kind):
        OrtSession(tmp_path / "model.onnx", CPU)


@pytest.mark.parametrize("content", [b"", b"404: Not Found\n", b"\x08"], ids=["empty", "text", "cut"])
def test_file_that_is_no_graph_is_refused_without_its_path(tmp_path: Path, content: bytes) -> None:
    """The engine's own words come through, the path does not."""
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    with pytest.raises((BadArtifact, LoadRefused), match="refuses the model") as refused:
        OrtSession(path, CPU)

    assert str(tmp_path) not in refused.value.message


def test_session_that_the_device_has_no_room_for_is_refused_for_that_reason(
    tmp_path: Path, models: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RESOURCE_EXHAUSTED over gRPC, and no fault of the model: it may fit later."""
    models.save(models.parse(models.BOOM), tmp_path)

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 2: out of memory")

    monkeypatch.setattr(session_module.ort, "InferenceSession", full)

    with pytest.raises(Overloaded, match="no room for it"):
        OrtSession(tmp_path / "model.onnx", CPU)


def test_failing_run_is_the_models_failure(open_graph: OpenGraph, models: ModuleType) -> None:
    """An index out of range is told in the engine's words; the session goes on."""
    session = open_graph(models.BOOM)

    with pytest.raises(ModelFailed, match="indices element out of data bounds"):
        session.run({"I": np.array([9], np.int64)}, ["Y"])

    assert session.run({"I": np.array([3], np.int64)}, ["Y"])[0].tolist() == [3.0]


def test_run_is_stopped_at_its_limit(open_graph: OpenGraph, models: ModuleType) -> None:
    """A run that takes too long is terminated from within, and the session goes on."""
    graph = models.SLOW.replace("{ROUNDS}", "{100000000}").replace("ONES", ", ".join(["1.0"] * 256))
    session = open_graph(graph)

    with pytest.raises(DeadlineExceeded, match=r"limit of 0\.05 s"):
        session.run({"X": np.ones((1, 1), np.float32)}, ["Y"], 0.05)


def test_run_within_its_limit_is_not_stopped(open_graph: OpenGraph, models: ModuleType) -> None:
    """The limit leaves nothing behind."""
    session = open_graph(models.SCALAR)

    (output,) = session.run({"X": np.array(2, np.float32)}, ["Y"], 60.0)

    assert output == 4


def test_placement_is_all_on_the_cpu(open_graph: OpenGraph, models: ModuleType) -> None:
    """Every node runs where it was asked to."""
    assert open_graph(models.ADDSUB).placement == {"cpu": 1.0}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"no_such_option": 1}, "'no_such_option' is not known"),
        ({"add_session_config_entry": 1}, "is not known"),
        ({"graph_optimization_level": "ORT_NONE"}, "cannot be 'ORT_NONE'"),
        ({"intra_op_num_threads": "many"}, "cannot be 'many'"),
    ],
    ids=str,
)
def test_senseless_session_option_is_refused(
    open_graph: OpenGraph, models: ModuleType, options: dict[str, str | int | bool], words: str
) -> None:
    """The refusal names option and value."""
    with pytest.raises(LoadRefused, match=words):
        open_graph(models.SCALAR, **options)


def test_session_options_are_heeded(open_graph: OpenGraph, models: ModuleType) -> None:
    """Names of the class, of its enums, and configuration keys are all taken."""
    options: dict[str, str | int | bool] = {
        "graph_optimization_level": "ORT_DISABLE_ALL",
        "enable_cpu_mem_arena": False,
        "session.set_denormal_as_zero": True,
    }

    session = open_graph(models.SCALAR, **options)

    assert session.run({"X": np.array(2, np.float32)}, ["Y"])[0] == 4


@pytest.mark.parametrize(
    ("options", "least_mib", "most_mib"), [({}, -1.0, 1.0), ({"enable_mem_pattern": True}, 9.0, 500.0)], ids=["ours", "control"]
)
def test_shapes_that_never_come_again_leave_nothing(
    open_graph: OpenGraph, options: dict[str, str | int | bool], least_mib: float, most_mib: float
) -> None:
    """ONNX Runtime's default remembers a plan for each of 1,500 shapes: what grows with it would show here."""
    steps = " ".join(f"t{step} = Transpose (h{step}) h{step + 1} = Transpose (t{step}) k{step} = Exp (t{step})" for step in range(150))
    session = open_graph(
        f"g (float[batch,n] h0) => (float[batch,n] h150) {{ {steps} }}", graph_optimization_level="ORT_DISABLE_ALL", **options
    )
    for size in (2000, *range(1, 200)):
        session.run({"h0": np.zeros((1, size), np.float32)}, ["h150"])
    before = allocated_mib()

    for size in range(200, 1700):
        session.run({"h0": np.zeros((1, size), np.float32)}, ["h150"])

    assert least_mib <= allocated_mib() - before <= most_mib


class _Malloc(ctypes.Structure):
    """`struct mallinfo2` of malloc.h."""

    _fields_ = (
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")),
        *((name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")),
    )


def allocated_mib() -> float:
    """Return what malloc has given out, which gaps that others have left in the heap do not hide."""
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _Malloc
    told = mallinfo()
    return float(told.uordblks + told.hblkhd) / 2**20


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        ("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Bad thing", "Bad thing"),
        ("[ONNXRuntimeError] : 1 : FAIL : Load from /srv/models/a.onnx failed", "Load from failed"),
        ("Non-zero status code. Name:'n' Status Message: /b/c.cc:12 real reason\n  more", "real reason more"),
        ("x" * 400, "x" * 300),
    ],
)
def test_engine_words_come_without_prefix_and_paths(raised: str, words: str) -> None:
    """A caller learns the reason and nothing of the server's disk."""
    assert engine_text(RuntimeError(raised)) == words
