"""The scanner of model files: the same facts as the `onnx` package finds, and a ValueError for anything else."""

import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from penstock.registry import onnx_graph
from penstock.registry.onnx_graph import ExternalData, OnnxGraph, scan

FLOATS = ("N", 4)


def value(name: str) -> onnx.ValueInfoProto:
    """Return a float input or output."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, FLOATS)


def constant(name: str) -> onnx.TensorProto:
    """Return a tensor whose bytes are in the model file."""
    return numpy_helper.from_array(np.arange(4, dtype=np.float32), name)


def external(name: str, location: str, **entries: str) -> onnx.TensorProto:
    """Return a tensor whose bytes are in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, text in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=text)
    return tensor


def model(
    nodes: Iterable[onnx.NodeProto],
    initializers: Iterable[onnx.TensorProto] | None = None,
    functions: Iterable[onnx.FunctionProto] = (),
) -> onnx.ModelProto:
    """Return a model of these nodes from `x` to `y`."""
    held = [constant("w"), constant("b")] if initializers is None else list(initializers)
    graph = helper.make_graph(list(nodes), "main", [value("x"), value("w")], [value("y")], initializer=held)
    made = helper.make_model(graph, ir_version=10, producer_name="penstock-tests", producer_version="1.2")
    del made.opset_import[:]
    made.opset_import.extend([helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)])
    made.functions.extend(functions)
    return made


def plain() -> onnx.ModelProto:
    """Return a model of two nodes in two domains."""
    scaler = helper.make_node("Scaler", ["h"], ["y"], domain="ai.onnx.ml", scale=[1.0], offset=[0.0])
    return model([helper.make_node("Add", ["x", "w"], ["h"]), scaler])


def branching() -> onnx.ModelProto:
    """Return a model with a Loop inside an If, whose constants are in other files."""
    inner = helper.make_graph([helper.make_node("Fancy", ["c"], ["o"], domain="acme.deep")], "body", [], [value("o")], [constant("c")])
    outside = external("k", "then.bin", offset="8", length="16")
    then_nodes = [
        helper.make_node("Constant", [], ["k"], value=outside),
        helper.make_node("Loop", ["m", "", "k"], ["y"], body=inner),
    ]
    then_branch = helper.make_graph(then_nodes, "then", [], [value("y")])
    else_branch = helper.make_graph([], "else", [], [value("y")], initializer=[external("e", "else.bin")])
    return model([helper.make_node("If", ["x"], ["y"], then_branch=then_branch, else_branch=else_branch)])


def functional() -> onnx.ModelProto:
    """Return a model that calls a function of its own, which uses a custom operator and an outside constant."""
    body = [
        helper.make_node("Constant", [], ["k"], value=external("k", "function.bin")),
        helper.make_node("Custom", ["a", "k"], ["b"], domain="acme.custom"),
    ]
    function = helper.make_function("acme.local", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 21)])
    default = helper.make_attribute("t", external("d", "default.bin"))
    function.attribute_proto.append(default)
    return model([helper.make_node("Twice", ["x"], ["y"], domain="acme.local")], functions=[function])


def scattered() -> onnx.ModelProto:
    """Return a model with outside bytes in every other place that onnx.proto has for a tensor."""
    made = model(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        initializers=[constant("w"), external("v", "weights.bin", offset="4096", length="16", checksum="00ff")],
    )
    sparse = onnx.SparseTensorProto(values=external("s", "values.bin"), indices=external("i", "indices.bin"))
    made.graph.sparse_initializer.append(sparse)
    inner = plain().graph
    inner.sparse_initializer.append(sparse)
    attributes = made.graph.node[0].attribute
    attributes.append(AttributeProto(name="ts", type=AttributeProto.TENSORS, tensors=[constant("t"), external("t2", "list.bin")]))
    attributes.append(AttributeProto(name="s", type=AttributeProto.SPARSE_TENSOR, sparse_tensor=sparse))
    attributes.append(AttributeProto(name="ss", type=AttributeProto.SPARSE_TENSORS, sparse_tensors=[sparse, sparse]))
    attributes.append(AttributeProto(name="gs", type=AttributeProto.GRAPHS, graphs=[branching().graph, inner]))
    made.training_info.add(initialization=branching().graph, algorithm=plain().graph)
    return made


def large() -> onnx.ModelProto:
    """Return a model whose fields lie across many reading windows, with lists of numbers longer than one."""
    chance = np.random.default_rng(7)
    nodes = [helper.make_node("Add", ["x"], ["y"], doc_string="d" * chance.integers(400)) for _ in range(500)]
    for node in nodes[::50]:
        numbers = chance.integers(-(2**62), 2**62, 3000).tolist()
        node.attribute.append(helper.make_attribute("numbers", numbers))
        node.attribute.append(helper.make_attribute("floats", chance.random(3000).tolist()))
        node.attribute.append(helper.make_attribute("t", external("t", f"{chance.random()}.bin")))
    return model(nodes, initializers=[constant(f"w{number}" * 100) for number in range(300)])


MODELS = {maker.__name__: maker for maker in (plain, branching, functional, scattered, large)}


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph and the graphs nested in it."""
    yield graph
    for node in graph.node:
        yield from graphs_of_node(node)


def graphs_of_node(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs nested in a node."""
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from graphs_of(graph)


def attribute_tensors(attribute: onnx.AttributeProto) -> Iterator[onnx.TensorProto]:
    """Yield the tensors that an attribute itself holds."""
    yield from [attribute.t] if attribute.HasField("t") else []
    yield from attribute.tensors
    for sparse in (
        *([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []),
        *attribute.sparse_tensors,
    ):
        yield from (sparse.values, sparse.indices)


def expected(made: onnx.ModelProto) -> OnnxGraph:
    """Return what the `onnx` package's classes say of a model."""
    graphs = list(graphs_of(made.graph))
    for info in made.training_info:
        graphs += [*graphs_of(info.initialization), *graphs_of(info.algorithm)]
    nodes = [node for function in made.functions for node in function.node]
    graphs += [graph for node in nodes for graph in graphs_of_node(node)]
    nodes += [node for graph in graphs for node in graph.node]
    attributes = [attribute for node in nodes for attribute in node.attribute]
    attributes += [attribute for function in made.functions for attribute in function.attribute_proto]
    tensors = [tensor for graph in graphs for tensor in graph.initializer]
    for graph in graphs:
        tensors += [tensor for sparse in graph.sparse_initializer for tensor in (sparse.values, sparse.indices)]
    tensors += [tensor for attribute in attributes for tensor in attribute_tensors(attribute)]
    return OnnxGraph(
        ir_version=made.ir_version,
        opset_imports=tuple((opset.domain, opset.version) for opset in made.opset_import),
        domains=frozenset(node.domain for node in nodes),
        function_domains=frozenset(function.domain for function in made.functions),
        producer_name=made.producer_name,
        producer_version=made.producer_version,
        inputs=tuple(info.name for info in made.graph.input),
        initializers=frozenset(tensor.name for tensor in made.graph.initializer)
        | {sparse.values.name for sparse in made.graph.sparse_initializer},
        external_data=tuple(outside(tensor) for tensor in tensors if tensor.data_location == TensorProto.EXTERNAL),
    )


def outside(tensor: onnx.TensorProto) -> ExternalData:
    """Return where the `onnx` package would look for a tensor's bytes."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    length = int(entries["length"]) if "length" in entries else None
    return ExternalData(tensor.name, entries.get("location", ""), int(entries.get("offset", 0)), length)


def by_place(graph: OnnxGraph) -> tuple[object, ...]:
    """Return the facts with external data in an order that does not depend on the walk."""
    places = sorted(graph.external_data, key=str)
    return (*(getattr(graph, name) for name in OnnxGraph.__dataclass_fields__ if name != "external_data"), places)


def write(directory: Path, content: bytes) -> Path:
    """Return the path of a model file with this content."""
    path = directory / "model.onnx"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", MODELS)
def test_scan_finds_what_the_onnx_package_finds(name: str, tmp_path: Path) -> None:
    """Versions, domains, names and external data agree for every sort of nesting."""
    made = MODELS[name]()

    found = scan(write(tmp_path, made.SerializeToString()))

    assert by_place(found) == by_place(expected(made))


def test_facts_of_a_branching_model_are_these(tmp_path: Path) -> None:
    """The comparison above does not agree on nothing: a few facts are spelled out."""
    found = scan(write(tmp_path, branching().SerializeToString()))

    assert found.ir_version == 10
    assert found.opset_imports == (("", 21), ("ai.onnx.ml", 3))
    assert found.domains == {"", "acme.deep"}
    assert (found.producer_name, found.producer_version) == ("penstock-tests", "1.2")
    assert found.inputs == ("x", "w")
    assert found.initializers == {"w", "b"}
    assert set(found.external_data) == {
        ExternalData("k", "then.bin", offset=8, length=16),
        ExternalData("e", "else.bin", offset=0, length=None),
    }


def test_function_domain_is_told_apart_from_operators(tmp_path: Path) -> None:
    """A call of the model's own function needs no operator from elsewhere; what the function calls does."""
    found = scan(write(tmp_path, functional().SerializeToString()))

    assert found.function_domains == {"acme.local"}
    assert found.domains == {"", "acme.local", "acme.custom"}


def test_files_saved_beside_the_model_are_found(tmp_path: Path) -> None:
    """The `onnx` package's own way to move tensors out of the file is understood."""
    path = tmp_path / "model.onnx"
    onnx.save(plain(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)

    found = scan(path)

    assert {data.location for data in found.external_data} == {"weights.bin"}
    assert {data.tensor for data in found.external_data} == {"w", "b"}
    assert [data.length for data in found.external_data] == [16, 16]


def test_model_cut_at_any_byte_parses_or_is_refused(tmp_path: Path) -> None:
    """A truncated file never raises anything but ValueError; where onnx can read it, the facts agree."""
    content = branching().SerializeToString()
    readable = 0
    for size in range(len(content)):
        try:
            found = scan(write(tmp_path, content[:size]))
        except ValueError:
            continue
        readable += 1
        assert by_place(found) == by_place(expected(onnx.ModelProto.FromString(content[:size])))
    assert 0 < readable < 5


@pytest.mark.parametrize("models", [500, pytest.param(5000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["branching", "functional", "scattered"])
def test_damaged_model_never_hides_external_data(name: str, models: int, tmp_path: Path) -> None:
    """Whatever bytes are changed: ValueError, or at least every location that onnx sees."""
    content = MODELS[name]().SerializeToString()
    chance = np.random.default_rng(len(content))
    compared = 0
    for _ in range(models):
        damaged = bytearray(content)
        for _ in range(chance.integers(1, 4)):
            damaged[chance.integers(len(damaged))] = chance.integers(256)
        try:
            found = scan(write(tmp_path, bytes(damaged)))
            seen = expected(onnx.ModelProto.FromString(bytes(damaged)))
        except (ValueError, DecodeError):
            continue
        compared += 1
        assert {data.location for data in seen.external_data} <= {data.location for data in found.external_data} | {""}
    assert compared > models / 15


def zipped() -> bytes:
    """Return a zip archive."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.onnx", plain().SerializeToString())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "it is empty", id="empty"),
        pytest.param(b"This is not a model.\n" * 9, "it looks like text", id="text"),
        pytest.param(b"\n<html><body>404</body></html>", "it looks like text", id="html"),
        pytest.param(zipped(), "it looks like a zip archive", id="zip"),
        pytest.param(pickle.dumps({"a": 1}), "it looks like a pickle", id="pickle"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer", id="lfs"),
        pytest.param(b"\x1f\x8b" + b"\0" * 40, "gzip", id="gzip"),
        pytest.param(bytes(64), "byte 0 starts no field", id="zeros"),
        pytest.param(b"\xff" * 64, "a number in it has no end", id="endless-number"),
        pytest.param(onnx.ModelProto(ir_version=10).SerializeToString(), "it holds no graph", id="no-graph"),
        pytest.param(b"\x3a\xff\xff\xff\xff\x0f", "lacks", id="length-beyond-the-file"),
        pytest.param(b"\x3a" + b"\xff" * 9 + b"\x01", "lacks", id="length-of-64-bits"),
        pytest.param(b"\x38\x01", "not the type", id="graph-as-number"),
        pytest.param(b"\x0a\x01\x01", "not the type", id="ir-version-as-bytes"),
        pytest.param(b"\x3b\x08\x01\x3c", "byte 0 starts no field", id="group"),
        pytest.param(b"\x3a\x02\x0a\x05" + b"\0" * 9, "lacks", id="child-longer-than-its-parent"),
        pytest.param(b"\x12\x02\xff\xfe\x3a\x00", "utf-8", id="name-not-utf-8"),
        pytest.param(b"\x12\x81\x80\x04" + b"a" * 0x10001 + b"\x3a\x00", "longer than 65536 bytes", id="endless-name"),
    ],
)
def test_file_that_is_no_model_is_refused_with_its_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    """The sentence names the file and says what it is instead, or where reading failed."""
    path = write(tmp_path, content)

    with pytest.raises(ValueError, match=rf"^model\.onnx is not a readable ONNX model: .*{reason}"):
        scan(path)


def nested(levels: int) -> bytes:
    """Return a model of Ifs inside each other, three messages per level."""
    graph = b""
    for _ in range(levels):
        attribute = b"\x32" + length(graph) + graph
        node = b"\x2a" + length(attribute) + attribute
        graph = b"\x0a" + length(node) + node
    return b"\x3a" + length(graph) + graph


def length(content: bytes | int) -> bytes:
    """Return a length as protobuf writes it."""
    left = content if isinstance(content, int) else len(content)
    written = bytearray()
    while left > 0x7F:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*written, left])


def test_nesting_is_bounded_where_protobuf_bounds_it(tmp_path: Path) -> None:
    """Deep but legal models pass; a thousand levels are refused without a RecursionError."""
    assert scan(write(tmp_path, nested(32))).domains == {""}

    with pytest.raises(ValueError, match="nested more than 100 messages deep"):
        scan(write(tmp_path, nested(1000)))


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([("location", "a"), ("location", "../b")], "location twice"),
        ([("location", "a"), ("offset", "1"), ("offset", "2")], "offset twice"),
        ([("location", "a"), ("offset", "-1")], "'-1', not a count"),
        ([("location", "a"), ("length", "1e3")], "'1e3', not a count"),
        ([("location", "a"), ("length", "9" * 5000)], "not a count"),
    ],
)
def test_ambiguous_external_data_is_refused(entries: list[tuple[str, str]], reason: str, tmp_path: Path) -> None:
    """What two readers may read differently is not read at all."""
    made = plain()
    for key, text in entries:
        made.graph.initializer[0].external_data.add(key=key, value=text)

    with pytest.raises(ValueError, match=reason):
        scan(write(tmp_path, made.SerializeToString()))


def test_location_is_found_though_its_tensor_claims_to_be_internal(tmp_path: Path) -> None:
    """A tensor that a file holds in two parts is merged by the engine: claim here, location there."""
    location = onnx.TensorProto(external_data=[onnx.StringStringEntryProto(key="location", value="../secret")])
    claim = onnx.TensorProto(data_location=TensorProto.EXTERNAL)
    halves = b"".join(b"\x2a" + length(half) + half for half in (location.SerializeToString(), claim.SerializeToString()))
    node = b"\x2a" + length(halves) + halves
    graph = b"\x0a" + length(node) + node

    found = scan(write(tmp_path, b"\x3a" + length(graph) + graph))

    assert [data.location for data in found.external_data] == ["../secret"]


def test_numbers_behind_a_message_are_not_taken_for_its_own(tmp_path: Path) -> None:
    """A run of numbers is stepped over only as far as the message goes."""
    function = b"\x52\x04acme" + b"\x08\x01" + b"\x19" + b"\xff" * 8 + b"\x1d" + b"\xff" * 4 + b"\x08\x02"
    ir_version = b"\x08\x0a"

    found = scan(write(tmp_path, b"\x3a\x00" + b"\xca\x01" + length(function) + function + ir_version))

    assert found.ir_version == 10
    assert found.function_domains == {"acme"}


def test_number_of_names_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file cannot fill the memory with names, whichever sort it repeats."""
    monkeypatch.setattr(onnx_graph, "_MAX_NAMES", 9)
    ten = [constant(f"w{number}") for number in range(10)]
    crowds = [model([], ten), model([], [external("w", "w.bin")] * 10), plain()]
    crowds[2].opset_import.extend([helper.make_opsetid("", 21)] * 10)

    for crowd in crowds:
        with pytest.raises(ValueError, match="more than 9 names of one sort"):
            scan(write(tmp_path, crowd.SerializeToString()))


def test_tensor_bytes_are_neither_read_nor_held(tmp_path: Path) -> None:
    """A model of 8 GiB costs a few reads: the file here is a hole that would take long to read."""
    size = 8 << 30
    tensor = b"\x42\x01w\x4a" + length(size)
    graph = b"\x2a" + length(len(tensor) + size) + tensor
    header = b"\x08\x0a\x3a" + length(len(graph) + size) + graph
    path = write(tmp_path, header)
    os.truncate(path, len(header) + size)

    tracemalloc.start()
    found = scan(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert found.initializers == {"w"}
    assert peak < 1 << 18


def test_file_cut_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy over a file that is being scanned is an error of that file, not the end of the process."""
    path = write(tmp_path, large().SerializeToString())
    pread = os.pread

    def cut(descriptor: int, size: int, offset: int) -> bytes:
        if offset:
            os.truncate(path, 100)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", cut)

    with pytest.raises(ValueError, match="is not a readable ONNX model"):
        scan(path)


def test_file_cut_in_its_last_tensor_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut that no header shows is seen by the size of the file."""
    path = write(tmp_path, plain().SerializeToString())
    pread = os.pread

    def cut(descriptor: int, size: int, offset: int) -> bytes:
        content = pread(descriptor, size, offset)
        os.truncate(path, 100)
        return content

    monkeypatch.setattr(os, "pread", cut)

    with pytest.raises(ValueError, match="it changed while it was read"):
        scan(path)


def test_missing_file_is_an_oserror(tmp_path: Path) -> None:
    """That a file cannot be read is no fault of its content."""
    with pytest.raises(FileNotFoundError):
        scan(tmp_path / "model.onnx")
