"""config.pbtxt: what is read of it, and that nothing it says is dropped in silence."""

from collections.abc import Iterator

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from penstock.registry import triton_fields
from penstock.registry.pbtxt import read_config, unknown_field
from penstock.registry.triton import DeclaredTensor, TritonSettings, translate
from penstock.wire import inference

LISTED = """
    input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
    output { name: "y" data_type: TYPE_FP32 dims: [ 1 ] }
"""
"""A configuration that lists its tensors, which Triton takes as complete."""

DENSE = """
# A model as people write them.
name: "densenet"
platform: "onnxruntime_onnx"
max_batch_size: 8
input [
  {
    name: "data_0"
    data_type: TYPE_FP32
    format: FORMAT_NCHW
    dims: [ 3, 224, 224 ]
    reshape { shape: [ 1, 3, 224, 224 ] }
  },
  { name: "mask" data_type: TYPE_STRING dims: [ -1 ] optional: true }
]
output [ { name: "fc6_1" data_type: TYPE_FP16 dims: [ 1000 ] label_filename: "labels.txt" } ]
version_policy: { latest { num_versions: 2 } }
instance_group [ { count: 2 kind: KIND_GPU gpus: [ 0, 1 ] } ]
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 100
  default_queue_policy { max_queue_size: 128 }
}
optimization {
  graph { level: 1 }
  execution_accelerators {
    gpu_execution_accelerator [ {
      name: "tensorrt"
      parameters { key: "precision_mode" value: "FP16" }
      parameters { key: "max_workspace_size_bytes" value: "1073741824" }
      parameters { key: "trt_engine_cache_enable" value: "1" }
    } ]
  }
}
parameters { key: "intra_op_thread_count" value: { string_value: "2" } }
parameters { key: "inter_op_thread_count" value: { string_value: "0" } }
default_model_filename: "densenet.onnx"
"""


def translated(text: str) -> TritonSettings:
    """Return what a config.pbtxt of this text means."""
    return translate(read_config(text))


def gpu(accelerator: str) -> str:
    """Return a configuration with one GPU accelerator."""
    return f"optimization {{ execution_accelerators {{ gpu_execution_accelerator {{ {accelerator} }} }} }}"


def parameter(name: str, value: str) -> str:
    """Return a configuration with one parameter of the back end."""
    return f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }}'


def test_whole_configuration_reads_as_meant() -> None:
    """Every part of a rich configuration arrives; what has no effect is said."""
    settings = translated(DENSE)

    assert settings == TritonSettings(
        options={
            "versions": "latest:2",
            "max_batch_rows": 8,
            "batching": "adaptive",
            "queue_rows": 128,
            "devices": ["tensorrt:0", "tensorrt:1"],
            "lanes": 2,
            "threads": 2,
            "session_options": {"graph_optimization_level": "ORT_ENABLE_EXTENDED"},
            "provider_options": {
                "tensorrt": {
                    "trt_max_workspace_size": "1073741824",
                    "trt_fp16_enable": "1",
                    "trt_engine_cache_enable": "1",
                }
            },
        },
        max_batch_size=8,
        inputs=(
            DeclaredTensor("data_0", "FP32", (3, 224, 224), reshape=(1, 3, 224, 224)),
            DeclaredTensor("mask", "BYTES", (-1,), optional=True),
        ),
        outputs=(DeclaredTensor("fc6_1", "FP16", (1000,), label_filename="labels.txt"),),
        model_filename="densenet.onnx",
        warnings=settings.warnings,
        refusals=(),
    )
    assert [sentence.split(" is ignored: ")[0] for sentence in settings.warnings] == [
        "input.format",
        "dynamic_batching.preferred_batch_size",
        "dynamic_batching.max_queue_delay_microseconds",
    ]


def test_empty_configuration_decides_nothing() -> None:
    """What Triton would find out from the graph is left to whoever reads the graph."""
    assert translated("") == TritonSettings()


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("version_policy { latest {} }", {"versions": "latest:1"}),
        ("version_policy { latest { num_versions: 3 } }", {"versions": "latest:3"}),
        ("version_policy { all {} }", {"versions": "all"}),
        ("version_policy: { specific: { versions: [1, 12] } }", {"versions": ["1", "12"]}),
        ("max_batch_size: 16", {"max_batch_rows": 16}),
        ("max_batch_size: 16 dynamic_batching {}", {"max_batch_rows": 16, "batching": "adaptive"}),
        (LISTED, {"batching": "off"}),
        (LISTED + "max_batch_size: 16", {"max_batch_rows": 16, "batching": "off"}),
        (LISTED + "max_batch_size: 16 dynamic_batching {}", {"max_batch_rows": 16, "batching": "adaptive"}),
        (LISTED + "max_batch_size: 0 dynamic_batching {}", {"batching": "off"}),
        ("dynamic_batching { default_queue_policy { max_queue_size: 9 } }", {"queue_rows": 9}),
        ("instance_group { kind: KIND_CPU }", {"devices": ["cpu"]}),
        ("instance_group { kind: KIND_CPU count: 4 }", {"devices": ["cpu"], "lanes": 4}),
        ("instance_group { count: 3 }", {"lanes": 3}),
        ("instance_group { gpus: 2 }", {"devices": ["cuda:2"]}),
        ("instance_group { kind: KIND_GPU gpus: [0, 1] }", {"devices": ["cuda:0", "cuda:1"]}),
        ("instance_group { kind: KIND_GPU }", {"devices": ["cuda:0"]}),
        ("instance_group [{ kind: KIND_GPU }, { kind: KIND_CPU }]", {"devices": ["cuda:0", "cpu"]}),
        ("instance_group [{ kind: KIND_CPU count: 2 }, { kind: KIND_CPU }]", {"devices": ["cpu"], "lanes": 3}),
        ("instance_group [{ kind: KIND_CPU }, { kind: KIND_GPU passive: true }]", {"devices": ["cpu"]}),
        ("instance_group { kind: KIND_GPU count: 2 passive: true }", {}),
        (
            "instance_group [{ kind: KIND_CPU count: 2 }, { kind: KIND_GPU count: 5 }]",
            {"devices": ["cpu", "cuda:0"], "lanes": 5},
        ),
        (gpu('name: "tensorrt"'), {"devices": ["tensorrt:0"]}),
        (gpu('name: "cuda"'), {"devices": ["cuda:0"]}),
        (gpu('name: "tensorrt"') + "instance_group { kind: KIND_CPU }", {"devices": ["cpu"]}),
        (gpu('name: "tensorrt"') + "instance_group { gpus: 3 }", {"devices": ["tensorrt:3"]}),
        ("optimization { graph { level: -1 } }", {"session_options": {"graph_optimization_level": "ORT_ENABLE_BASIC"}}),
        ("optimization { graph { level: 0 } }", {}),
        ("optimization { graph { level: 2 } }", {"session_options": {"graph_optimization_level": "ORT_DISABLE_ALL"}}),
        (parameter("intra_op_thread_count", "0"), {}),
        (parameter("intra_op_thread_count", "4"), {"threads": 4}),
        (parameter("inter_op_thread_count", "2"), {"session_options": {"inter_op_num_threads": 2}}),
        (parameter("execution_mode", "1"), {"session_options": {"execution_mode": "ORT_PARALLEL"}}),
        (parameter("execution_mode", "0"), {"session_options": {"execution_mode": "ORT_SEQUENTIAL"}}),
        (parameter("enable_mem_arena", "0"), {"session_options": {"enable_cpu_mem_arena": False}}),
        (parameter("enable_mem_pattern", "True"), {"session_options": {"enable_mem_pattern": True}}),
        (
            parameter("session.use_device_allocator_for_initializers", "1"),
            {"session_options": {"session.use_device_allocator_for_initializers": "1"}},
        ),
        (parameter("share_session_between_instances", "true"), {}),
        (
            parameter("cudnn_conv_algo_search", "1"),
            {"provider_options": {"cuda": {"cudnn_conv_algo_search": "HEURISTIC"}}},
        ),
        (parameter("gpu_mem_limit", "4294967200"), {"provider_options": {"cuda": {"gpu_mem_limit": 4294967200}}}),
        (
            parameter("arena_extend_strategy", "1"),
            {"provider_options": {"cuda": {"arena_extend_strategy": "kSameAsRequested"}}},
        ),
        (
            parameter("do_copy_in_default_stream", "true"),
            {"provider_options": {"cuda": {"do_copy_in_default_stream": "1"}}},
        ),
        (
            gpu('name: "cuda" parameters { key: "cudnn_conv_use_max_workspace" value: "0" }'),
            {"devices": ["cuda:0"], "provider_options": {"cuda": {"cudnn_conv_use_max_workspace": "0"}}},
        ),
        (
            gpu('name: "tensorrt" parameters { key: "precision_mode" value: "INT8" }'),
            {"devices": ["tensorrt:0"], "provider_options": {"tensorrt": {"trt_int8_enable": "1"}}},
        ),
        (
            gpu('name: "tensorrt" parameters { key: "precision_mode" value: "FP32" }'),
            {"devices": ["tensorrt:0"]},
        ),
        (
            gpu('name: "tensorrt" parameters { key: "int8_calibration_table_name" value: "t" }'),
            {"devices": ["tensorrt:0"], "provider_options": {"tensorrt": {"trt_int8_calibration_table_name": "t"}}},
        ),
    ],
)
def test_field_becomes_a_setting(text: str, options: dict[str, object]) -> None:
    """Each field alone yields exactly the settings named, and nothing is refused."""
    settings = translated(text)

    assert settings.options == options
    assert settings.refusals == ()


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        ("", None),
        ("max_batch_size: 0", None),
        ('input { name: "x" data_type: TYPE_FP32 }', None),
        (LISTED, 0),
        ("max_batch_size: 4", 4),
        (LISTED + "max_batch_size: 4", 4),
    ],
)
def test_batch_size_of_zero_counts_only_where_tensors_are_listed(text: str, declared: int | None) -> None:
    """Triton completes an incomplete configuration from the graph, batch dimension included."""
    assert translated(text).max_batch_size == declared


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('runtime: "libtriton_onnxruntime.so"', "runtime"),
        ('cc_model_filenames { key: "7.5" value: "a.onnx" }', "cc_model_filenames"),
        ('metric_tags { key: "team" value: "a" }', "metric_tags"),
        ('model_metrics { metric_control { metric_identifier { family: "f" } } }', "model_metrics"),
        ('model_warmup { name: "w" batch_size: 1 }', "model_warmup"),
        ("response_cache { enable: true }", "response_cache.enable"),
        ("input { data_type: TYPE_FP32 format: FORMAT_NHWC }", "input.format"),
        ("input { data_type: TYPE_FP32 is_shape_tensor: true }", "input.is_shape_tensor"),
        ("output { data_type: TYPE_FP32 is_non_linear_format_io: true }", "output.is_non_linear_format_io"),
        ('instance_group { kind: KIND_CPU profile: "0" }', "instance_group.profile"),
        ("instance_group { kind: KIND_CPU rate_limiter { priority: 2 } }", "instance_group.rate_limiter"),
        ("instance_group { kind: KIND_CPU secondary_devices {} }", "instance_group.secondary_devices"),
        ('instance_group { kind: KIND_CPU host_policy: "p" }', "instance_group.host_policy"),
        ("instance_group { kind: KIND_CPU passive: true }", "instance_group.passive"),
        ("instance_group { count: 2 }", "instance_group.kind"),
        ("instance_group { kind: KIND_GPU }", "instance_group.gpus"),
        ("instance_group [{ kind: KIND_CPU count: 2 }, { gpus: 0 }]", "instance_group.count"),
        ("dynamic_batching { preferred_batch_size: 4 }", "dynamic_batching.preferred_batch_size"),
        ("dynamic_batching { max_queue_delay_microseconds: 9 }", "dynamic_batching.max_queue_delay_microseconds"),
        ("dynamic_batching { preserve_ordering: true }", "dynamic_batching.preserve_ordering"),
        ("dynamic_batching { priority_levels: 2 }", "dynamic_batching.priority_levels"),
        ("dynamic_batching { default_priority_level: 1 }", "dynamic_batching.default_priority_level"),
        ("dynamic_batching { priority_queue_policy { key: 1 value {} } }", "dynamic_batching.priority_queue_policy"),
        (
            "dynamic_batching { default_queue_policy { timeout_action: DELAY } }",
            "dynamic_batching.default_queue_policy.timeout_action",
        ),
        (
            "dynamic_batching { default_queue_policy { default_timeout_microseconds: 5 } }",
            "dynamic_batching.default_queue_policy.default_timeout_microseconds",
        ),
        (
            "dynamic_batching { default_queue_policy { allow_timeout_override: true } }",
            "dynamic_batching.default_queue_policy.allow_timeout_override",
        ),
        ("optimization { priority: PRIORITY_MAX }", "optimization.priority"),
        ("optimization { cuda { graphs: true } }", "optimization.cuda"),
        ("optimization { input_pinned_memory { enable: true } }", "optimization.input_pinned_memory.enable"),
        ("optimization { gather_kernel_buffer_threshold: 1 }", "optimization.gather_kernel_buffer_threshold"),
        ("optimization { eager_batching: true }", "optimization.eager_batching"),
        ("optimization { graph { level: 7 } }", "optimization.graph.level"),
        (
            'optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }',
            "optimization.execution_accelerators.cpu_execution_accelerator",
        ),
        (
            gpu('name: "cuda"') + "instance_group { kind: KIND_CPU }",
            "optimization.execution_accelerators.gpu_execution_accelerator",
        ),
        (
            gpu('name: "cuda" parameters { key: "device_id" value: "1" }'),
            "optimization.execution_accelerators.gpu_execution_accelerator.parameters.device_id",
        ),
        (
            gpu('name: "tensorrt" parameters { key: "minimum_segment_size" value: "3" }'),
            "optimization.execution_accelerators.gpu_execution_accelerator.parameters.minimum_segment_size",
        ),
        (parameter("memory.enable_memory_arena_shrinkage", "cpu:0"), "parameters.memory.enable_memory_arena_shrinkage"),
        (parameter("mine", "1"), "parameters.mine"),
    ],
)
def test_field_without_effect_is_said_by_name(text: str, field: str) -> None:
    """A user learns which part of a configuration changes nothing; the model is served all the same."""
    settings = translated(text)

    assert any(sentence.startswith(f"{field} is ignored: ") for sentence in settings.warnings), settings.warnings
    assert settings.refusals == ()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("sequence_batching {}", "sequence_batching"),
        ("sequence_batching { max_sequence_idle_microseconds: 5 direct {} }", "sequence_batching"),
        ('platform: "ensemble" ensemble_scheduling { step { model_name: "a" } }', "ensemble_scheduling"),
        ("model_transaction_policy { decoupled: true }", "model_transaction_policy.decoupled"),
        ('model_operations { op_library_filename: "ops.so" }', "model_operations.op_library_filename"),
        ('model_repository_agents { agents { name: "checksum" } }', "model_repository_agents"),
        ("input { data_type: TYPE_FP32 allow_ragged_batch: true }", "input.allow_ragged_batch"),
        ("batch_input { kind: BATCH_ITEM_SHAPE }", "batch_input"),
        ("batch_output { target_name: 'y' }", "batch_output"),
        ('backend: "python"', "backend"),
        ('platform: "tensorrt_plan"', "platform"),
        ('platform: "ensemble" ensemble_scheduling {}', "platform"),
        ("max_batch_size: -1", "max_batch_size"),
        ('default_model_filename: "../other/1/model.onnx"', "default_model_filename"),
        ('default_model_filename: "/etc/model.onnx"', "default_model_filename"),
        ('output { data_type: TYPE_FP32 label_filename: "../../etc/passwd" }', "output.label_filename"),
        ('input { name: "x" }', "input.data_type"),
        ('output { name: "y" }', "output.data_type"),
        ("version_policy { specific {} }", "version_policy.specific.versions"),
        ("version_policy { specific { versions: 0 } }", "version_policy.specific.versions"),
        (gpu('name: "magic"'), "optimization.execution_accelerators.gpu_execution_accelerator"),
        (
            gpu('name: "tensorrt" parameters { key: "precision_mode" value: "FP4" }'),
            "optimization.execution_accelerators.gpu_execution_accelerator.parameters.precision_mode",
        ),
        (
            gpu('name: "tensorrt" parameters { key: "trt_extra_plugin_lib_paths" value: "evil.so" }'),
            "optimization.execution_accelerators.gpu_execution_accelerator.parameters.trt_extra_plugin_lib_paths",
        ),
        (
            gpu('name: "cuda" parameters { key: "user_compute_stream" value: "4096" }'),
            "optimization.execution_accelerators.gpu_execution_accelerator.parameters.user_compute_stream",
        ),
        (parameter("intra_op_thread_count", "many"), "parameters.intra_op_thread_count"),
        (parameter("intra_op_thread_count", "-1"), "parameters.intra_op_thread_count"),
        (parameter("execution_mode", "2"), "parameters.execution_mode"),
    ],
)
def test_field_that_cannot_be_honoured_forbids_the_model(text: str, field: str) -> None:
    """What would make answers wrong, or is unsafe, is refused by the field's name."""
    settings = translated(text)

    assert any(sentence.startswith(f"{field} is not supported: ") for sentence in settings.refusals), settings.refusals


@pytest.mark.parametrize(
    "text",
    [
        "response_cache { enable: false }",
        "model_transaction_policy { decoupled: false }",
        "model_operations {}",
        "dynamic_batching { preserve_ordering: false }",
        'backend: "onnxruntime"',
        'platform: "onnxruntime_onnx"',
        "instance_group { kind: KIND_CPU name: 'mine' }",
    ],
)
def test_field_that_asks_for_nothing_is_not_mentioned(text: str) -> None:
    """A feature that is switched off needs no warning."""
    settings = translated(text)

    assert settings.warnings == ()
    assert settings.refusals == ()


def test_sentence_is_said_once_for_many_tensors() -> None:
    """Two inputs with the same unsupported field make one warning."""
    plain = "input { data_type: TYPE_FP32 }"
    odd = "input { data_type: TYPE_FP32 format: FORMAT_NHWC }"

    assert len(translated(plain + odd + odd).warnings) == 1


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        *((f"TYPE_{wire}", wire) for wire in ("BOOL", "FP16", "FP32", "FP64", "BF16")),
        *((f"TYPE_{sign}INT{bits}", f"{sign}INT{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)),
        ("TYPE_STRING", "BYTES"),
    ],
)
def test_datatype_has_its_name_on_the_wire(name: str, wire: str) -> None:
    """Every datatype of the enum is named as in requests."""
    assert translated(f'input {{ name: "x" data_type: {name} }}').inputs[0].datatype == wire


def is_plain_message(descriptor: FieldDescriptor) -> bool:
    """Tell a message, which holds the fields that matter, from a value or a map."""
    return descriptor.message_type is not None and not descriptor.message_type.GetOptions().map_entry


def all_paths(message: Descriptor, prefix: str = "") -> Iterator[tuple[str, list[FieldDescriptor]]]:
    """Yield every field of a message's fields, maps and leaves alike, with the fields that lead to it."""
    for descriptor in message.fields:
        path = prefix + descriptor.name
        yield path, [descriptor]
        if descriptor.message_type is not None and is_plain_message(descriptor):
            yield from ((below, [descriptor, *way]) for below, way in all_paths(descriptor.message_type, f"{path}."))


PATHS = dict(all_paths(inference.POOL.FindMessageTypeByName("inference.ModelConfig")))


def with_field(way: list[FieldDescriptor]) -> inference.ModelConfig:
    """Return a configuration in which one field, at the end of the way, is set."""
    text = ""
    for descriptor in reversed(way):
        text = f"{descriptor.name} {{ {text} }}" if descriptor.message_type else f"{descriptor.name}: {sample(descriptor)}"
    return text_format.Parse(text, inference.ModelConfig(), descriptor_pool=inference.POOL)


def sample(descriptor: FieldDescriptor) -> str:
    """Return the text of a value of a field that is not its default."""
    return '"v"' if descriptor.cpp_type == FieldDescriptor.CPPTYPE_STRING else "1"


@pytest.mark.parametrize("path", [path for path, way in PATHS.items() if not is_plain_message(way[-1])])
def test_no_field_is_dropped_in_silence(path: str) -> None:
    """Whatever field of the message is set, it has a counterpart or a sentence that names it or what it is part of."""
    settings = translate(with_field(PATHS[path]))

    named = {sentence.split(" is ")[0] for sentence in settings.warnings + settings.refusals}
    around = {path.rsplit(".", parts)[0] for parts in range(path.count(".") + 1)}
    assert named & around or around & triton_fields._TRANSLATED


def test_tables_name_only_fields_that_exist() -> None:
    """A misspelt row would never apply."""
    assert PATHS.keys() >= triton_fields._JUDGED


def test_text_reads_as_triton_reads_it() -> None:
    """Comments, colons before braces, lists in brackets and separators are all optional or free."""
    terse = 'name:"a" input{name:"x" dims:1 dims:2}'
    wordy = '# comment\nname: "a";\ninput: [ { name: "x", dims: [ 1, 2 ] } ]\n'

    assert read_config(terse) == read_config(wordy)
    assert list(read_config(wordy).input[0].dims) == [1, 2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('name: "a"\nmax_batch_size: "x"', r'^config\.pbtxt, line 2: .*Couldn\'t parse integer: "x"'),
        ('name "a"', r"^config\.pbtxt, line 1: 'name \"a\"': Expected"),
        ("\n\ninput { data_type: TYPE_FP99 }", r"^config\.pbtxt, line 3: .*no value named TYPE_FP99"),
        ("dynamic_batching {}\nsequence_batching {}", r"^config\.pbtxt, line 2: .*specified along with"),
        ("max_batch_size: 99999999999", r"^config\.pbtxt, line 1: .*out of range"),
        ("input {", r"^config\.pbtxt, line 1: "),
        ("{" + "\0", r"^config\.pbtxt, line 1: "),
        ("a {" * 100_000, r"nested too deeply"),
    ],
)
def test_text_that_cannot_be_parsed_is_refused_with_its_line(text: str, reason: str) -> None:
    """The error is a ValueError that says where and why."""
    with pytest.raises(ValueError, match=reason):
        read_config(text)


def test_unknown_field_is_skipped_and_can_be_told() -> None:
    """A misspelt or newer field does not forbid the model, and need not go unnoticed."""
    text = 'name: "a"\nmax_batchsize: 4\nfuture { a { b: 1 } }\nbackend: "onnxruntime"'

    assert read_config(text).backend == "onnxruntime"
    assert unknown_field(text).startswith("config.pbtxt, line 2: ")
    assert '"max_batchsize"' in unknown_field(text)


@pytest.mark.parametrize("text", ["", DENSE, "name: 7"])
def test_text_without_unknown_fields_has_none_to_tell(text: str) -> None:
    """Neither a good text nor one that is wrong in another way has unknown fields."""
    assert unknown_field(text) == ""
