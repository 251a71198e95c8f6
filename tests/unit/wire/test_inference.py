"""The messages of the wire: numbers as published, loadable beside others' copies, in step with protos/."""

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from penstock.wire import inference

ROOT: Final = Path(__file__).resolve().parents[3]

FIELDS: Final = {
    "ServerLiveRequest": "",
    "ServerReadyRequest": "",
    "ServerMetadataRequest": "",
    "ServerLiveResponse": "live=1 bool",
    "ServerReadyResponse": "ready=1 bool",
    "ModelReadyRequest": "name=1 string; version=2 string",
    "ModelReadyResponse": "ready=1 bool",
    "ServerMetadataResponse": "name=1 string; version=2 string; extensions=3 repeated string; parameters=4 map<string,int64>",
    "ModelMetadataRequest": "name=1 string; version=2 string",
    "ModelMetadataResponse": "name=1 string; versions=2 repeated string; platform=3 string;"
    "inputs=4 repeated TensorMetadata; outputs=5 repeated TensorMetadata; properties=6 map<string,string>",
    "ModelMetadataResponse.TensorMetadata": "name=1 string; datatype=2 string; shape=3 repeated int64",
    "InferParameter": "bool_param=1 bool; int64_param=2 int64; string_param=3 string; double_param=4 double;uint64_param=5 uint64",
    "InferTensorContents": "bool_contents=1 repeated bool; int_contents=2 repeated int32;"
    "int64_contents=3 repeated int64; uint_contents=4 repeated uint32; uint64_contents=5 repeated uint64;"
    "fp32_contents=6 repeated float; fp64_contents=7 repeated double; bytes_contents=8 repeated bytes",
    "ModelInferRequest": "model_name=1 string; model_version=2 string; id=3 string;"
    "parameters=4 map<string,InferParameter>; inputs=5 repeated InferInputTensor;"
    "outputs=6 repeated InferRequestedOutputTensor; raw_input_contents=7 repeated bytes",
    "ModelInferRequest.InferInputTensor": "name=1 string; datatype=2 string; shape=3 repeated int64;"
    "parameters=4 map<string,InferParameter>; contents=5 InferTensorContents",
    "ModelInferRequest.InferRequestedOutputTensor": "name=1 string; parameters=2 map<string,InferParameter>",
    "ModelInferResponse": "model_name=1 string; model_version=2 string; id=3 string;"
    "parameters=4 map<string,InferParameter>; outputs=5 repeated InferOutputTensor;"
    "raw_output_contents=6 repeated bytes",
    "ModelInferResponse.InferOutputTensor": "name=1 string; datatype=2 string; shape=3 repeated int64;"
    "parameters=4 map<string,InferParameter>; contents=5 InferTensorContents",
    "ModelStreamInferResponse": "error_message=1 string; infer_response=2 ModelInferResponse",
    "ModelConfigRequest": "name=1 string; version=2 string",
    "ModelConfigResponse": "config=1 ModelConfig",
    "ModelStatisticsRequest": "name=1 string; version=2 string",
    "ModelStatisticsResponse": "model_stats=1 repeated ModelStatistics",
    "ModelStatistics": "name=1 string; version=2 string; last_inference=3 uint64; inference_count=4 uint64;"
    "execution_count=5 uint64; inference_stats=6 InferStatistics; batch_stats=7 repeated InferBatchStatistics;"
    "memory_usage=8 repeated MemoryUsage; response_stats=9 map<string,InferResponseStatistics>",
    "StatisticDuration": "count=1 uint64; ns=2 uint64",
    "InferStatistics": "success=1 StatisticDuration; fail=2 StatisticDuration; queue=3 StatisticDuration;"
    "compute_input=4 StatisticDuration; compute_infer=5 StatisticDuration; compute_output=6 StatisticDuration;"
    "cache_hit=7 StatisticDuration; cache_miss=8 StatisticDuration",
    "InferBatchStatistics": "batch_size=1 uint64; compute_input=2 StatisticDuration;"
    "compute_infer=3 StatisticDuration; compute_output=4 StatisticDuration",
    "InferResponseStatistics": "compute_infer=1 StatisticDuration; compute_output=2 StatisticDuration;"
    "success=3 StatisticDuration; fail=4 StatisticDuration; empty_response=5 StatisticDuration;"
    "cancel=6 StatisticDuration",
    "MemoryUsage": "type=1 string; id=2 int64; byte_size=3 uint64",
    "ModelRepositoryParameter": "bool_param=1 bool; int64_param=2 int64; string_param=3 string; bytes_param=4 bytes",
    "RepositoryIndexRequest": "repository_name=1 string; ready=2 bool",
    "RepositoryIndexResponse": "models=1 repeated ModelIndex",
    "RepositoryIndexResponse.ModelIndex": "name=1 string; version=2 string; state=3 string; reason=4 string",
    "RepositoryModelLoadRequest": "repository_name=1 string; model_name=2 string;parameters=3 map<string,ModelRepositoryParameter>",
    "RepositoryModelLoadResponse": "",
    "RepositoryModelUnloadRequest": "repository_name=1 string; model_name=2 string;parameters=3 map<string,ModelRepositoryParameter>",
    "RepositoryModelUnloadResponse": "",
    "SystemSharedMemoryStatusRequest": "name=1 string",
    "SystemSharedMemoryStatusResponse": "regions=1 map<string,RegionStatus>",
    "SystemSharedMemoryStatusResponse.RegionStatus": "name=1 string; key=2 string; offset=3 uint64;byte_size=4 uint64",
    "SystemSharedMemoryRegisterRequest": "name=1 string; key=2 string; offset=3 uint64; byte_size=4 uint64",
    "SystemSharedMemoryRegisterResponse": "",
    "SystemSharedMemoryUnregisterRequest": "name=1 string",
    "SystemSharedMemoryUnregisterResponse": "",
    "CudaSharedMemoryStatusRequest": "name=1 string",
    "CudaSharedMemoryStatusResponse": "regions=1 map<string,RegionStatus>",
    "CudaSharedMemoryStatusResponse.RegionStatus": "name=1 string; device_id=2 uint64; byte_size=3 uint64",
    "CudaSharedMemoryRegisterRequest": "name=1 string; raw_handle=2 bytes; device_id=3 int64; byte_size=4 uint64",
    "CudaSharedMemoryRegisterResponse": "",
    "CudaSharedMemoryUnregisterRequest": "name=1 string",
    "CudaSharedMemoryUnregisterResponse": "",
    "TraceSettingRequest": "settings=1 map<string,SettingValue>; model_name=2 string",
    "TraceSettingRequest.SettingValue": "value=1 repeated string",
    "TraceSettingResponse": "settings=1 map<string,SettingValue>",
    "TraceSettingResponse.SettingValue": "value=1 repeated string",
    "LogSettingsRequest": "settings=1 map<string,SettingValue>",
    "LogSettingsRequest.SettingValue": "bool_param=1 bool; uint32_param=2 uint32; string_param=3 string",
    "LogSettingsResponse": "settings=1 map<string,SettingValue>",
    "LogSettingsResponse.SettingValue": "bool_param=1 bool; uint32_param=2 uint32; string_param=3 string",
    "ModelConfig": "name=1 string; platform=2 string; version_policy=3 ModelVersionPolicy; max_batch_size=4 int32;"
    "input=5 repeated ModelInput; output=6 repeated ModelOutput; instance_group=7 repeated ModelInstanceGroup;"
    "default_model_filename=8 string; cc_model_filenames=9 map<string,string>; metric_tags=10 map<string,string>;"
    "dynamic_batching=11 ModelDynamicBatching; optimization=12 ModelOptimizationPolicy;"
    "sequence_batching=13 ModelSequenceBatching; parameters=14 map<string,ModelParameter>;"
    "ensemble_scheduling=15 ModelEnsembling; model_warmup=16 repeated ModelWarmup; backend=17 string;"
    "model_operations=18 ModelOperations; model_transaction_policy=19 ModelTransactionPolicy;"
    "batch_input=20 repeated BatchInput; batch_output=21 repeated BatchOutput;"
    "model_repository_agents=23 ModelRepositoryAgents; response_cache=24 ModelResponseCache; runtime=25 string;"
    "model_metrics=26 ModelMetrics",
    "ModelVersionPolicy": "latest=1 Latest; all=2 All; specific=3 Specific",
    "ModelVersionPolicy.Latest": "num_versions=1 uint32",
    "ModelVersionPolicy.All": "",
    "ModelVersionPolicy.Specific": "versions=1 repeated int64",
    "ModelInput": "name=1 string; data_type=2 DataType; format=3 Format; dims=4 repeated int64;"
    "reshape=5 ModelTensorReshape; is_shape_tensor=6 bool; allow_ragged_batch=7 bool; optional=8 bool;"
    "is_non_linear_format_io=9 bool",
    "ModelTensorReshape": "shape=1 repeated int64",
    "ModelOutput": "name=1 string; data_type=2 DataType; dims=3 repeated int64; label_filename=4 string;"
    "reshape=5 ModelTensorReshape; is_shape_tensor=6 bool; is_non_linear_format_io=7 bool",
    "ModelInstanceGroup": "name=1 string; count=2 int32; gpus=3 repeated int32; kind=4 Kind;"
    "profile=5 repeated string; rate_limiter=6 ModelRateLimiter; passive=7 bool;"
    "secondary_devices=8 repeated SecondaryDevice; host_policy=9 string",
    "ModelRateLimiter": "resources=1 repeated Resource; priority=2 uint32",
    "ModelRateLimiter.Resource": "name=1 string; global=2 bool; count=3 uint32",
    "ModelDynamicBatching": "preferred_batch_size=1 repeated int32; max_queue_delay_microseconds=2 uint64;"
    "preserve_ordering=3 bool; priority_levels=4 uint64; default_priority_level=5 uint64;"
    "default_queue_policy=6 ModelQueuePolicy; priority_queue_policy=7 map<uint64,ModelQueuePolicy>",
    "ModelQueuePolicy": "timeout_action=1 TimeoutAction; default_timeout_microseconds=2 uint64;"
    "allow_timeout_override=3 bool; max_queue_size=4 uint32",
    "ModelWarmup": "name=1 string; batch_size=2 uint32; inputs=3 map<string,Input>; count=4 uint32",
    "ModelWarmup.Input": "data_type=1 DataType; dims=2 repeated int64; zero_data=3 bool; random_data=4 bool;input_data_file=5 string",
    "ModelOptimizationPolicy": "graph=1 Graph; priority=2 ModelPriority; cuda=3 Cuda;"
    "execution_accelerators=4 ExecutionAccelerators; input_pinned_memory=5 PinnedMemoryBuffer;"
    "output_pinned_memory=6 PinnedMemoryBuffer; gather_kernel_buffer_threshold=7 uint32; eager_batching=8 bool",
    "ModelOptimizationPolicy.ExecutionAccelerators": "gpu_execution_accelerator=1 repeated Accelerator;"
    "cpu_execution_accelerator=2 repeated Accelerator",
    "ModelOptimizationPolicy.ExecutionAccelerators.Accelerator": "name=1 string; parameters=2 map<string,string>",
    "ModelSequenceBatching": "max_sequence_idle_microseconds=1 uint64; control_input=2 repeated ControlInput;"
    "direct=3 StrategyDirect; oldest=4 StrategyOldest; state=5 repeated State; iterative_sequence=6 bool",
    "ModelEnsembling": "step=1 repeated Step; max_inflight_requests=2 uint32",
    "ModelParameter": "string_value=1 string",
    "ModelOperations": "op_library_filename=1 repeated string",
    "ModelTransactionPolicy": "decoupled=1 bool",
    "ModelRepositoryAgents": "agents=1 repeated Agent",
    "ModelResponseCache": "enable=1 bool",
    "ModelMetrics": "metric_control=1 repeated MetricControl",
}
"""What the public interface says of each message."""

ENUMS: Final = {
    "DataType": "TYPE_INVALID=0 TYPE_BOOL=1 TYPE_UINT8=2 TYPE_UINT16=3 TYPE_UINT32=4 TYPE_UINT64=5 TYPE_INT8=6"
    " TYPE_INT16=7 TYPE_INT32=8 TYPE_INT64=9 TYPE_FP16=10 TYPE_FP32=11 TYPE_FP64=12 TYPE_STRING=13 TYPE_BF16=14",
    "ModelInput.Format": "FORMAT_NONE=0 FORMAT_NHWC=1 FORMAT_NCHW=2",
    "ModelInstanceGroup.Kind": "KIND_AUTO=0 KIND_GPU=1 KIND_CPU=2 KIND_MODEL=3",
    "ModelQueuePolicy.TimeoutAction": "REJECT=0 DELAY=1",
}

UNARY: Final = (
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelInfer",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
    "SystemSharedMemoryStatus",
    "SystemSharedMemoryRegister",
    "SystemSharedMemoryUnregister",
    "CudaSharedMemoryStatus",
    "CudaSharedMemoryRegister",
    "CudaSharedMemoryUnregister",
    "TraceSetting",
    "LogSettings",
)

TYPE_NAMES: Final = {
    getattr(FieldDescriptor, f"TYPE_{name.upper()}"): name
    for name in ("bool", "int32", "int64", "uint32", "uint64", "float", "double", "string", "bytes")
}


def type_name(field: FieldDescriptor) -> str:
    """Return how a .proto file would write the type of one value of the field."""
    described = field.message_type or field.enum_type
    return described.name if described else TYPE_NAMES[field.type]


def declaration(field: FieldDescriptor) -> str:
    """Return the field in the notation of the tables above."""
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        key, value = (type_name(entry.fields_by_name[name]) for name in ("key", "value"))
        return f"{field.name}={field.number} map<{key},{value}>"
    return f"{field.name}={field.number} {'repeated ' * field.is_repeated}{type_name(field)}"


def descriptor(name: str) -> Descriptor:
    """Return the descriptor of a message of the pool."""
    return inference.POOL.FindMessageTypeByName(f"inference.{name}")


@pytest.mark.parametrize("name", FIELDS)
def test_message_has_exactly_the_published_fields(name: str) -> None:
    """Every field has the published name, number and type, and there is no other."""
    published = {field.strip() for field in FIELDS[name].split(";") if field.strip()}

    assert {declaration(field) for field in descriptor(name).fields} == published


@pytest.mark.parametrize("name", ENUMS)
def test_enum_has_exactly_the_published_values(name: str) -> None:
    """Every value of an enum has the published number."""
    values = inference.POOL.FindEnumTypeByName(f"inference.{name}").values

    assert " ".join(f"{value.name}={value.number}" for value in values) == ENUMS[name]


@pytest.mark.parametrize(
    ("message", "oneof", "members"),
    [
        ("InferParameter", "parameter_choice", 5),
        ("ModelRepositoryParameter", "parameter_choice", 4),
        ("LogSettingsRequest.SettingValue", "parameter_choice", 3),
        ("ModelConfig", "scheduling_choice", 3),
        ("ModelVersionPolicy", "policy_choice", 3),
        ("ModelWarmup.Input", "input_data_type", 3),
        ("ModelSequenceBatching", "strategy_choice", 2),
    ],
)
def test_exclusive_fields_are_members_of_their_oneof(message: str, oneof: str, members: int) -> None:
    """Fields of which only one may be set are declared so."""
    assert len(descriptor(message).oneofs_by_name[oneof].fields) == members


def test_service_has_exactly_the_published_methods() -> None:
    """All unary methods take <Rpc>Request and answer <Rpc>Response; only ModelStreamInfer streams."""
    methods = {
        method.name: (method.input_type.name, method.output_type.name, method.client_streaming, method.server_streaming)
        for method in inference.SERVICE.methods
    }

    expected = {name: (f"{name}Request", f"{name}Response", False, False) for name in UNARY}
    assert methods == expected | {"ModelStreamInfer": ("ModelInferRequest", "ModelStreamInferResponse", True, True)}
    assert inference.SERVICE.full_name == "inference.GRPCInferenceService"


def test_every_message_and_enum_is_an_attribute_of_the_module() -> None:
    """What the two files define at their top is reachable by its name, and belongs to the private pool."""
    for name in ("model_config.proto", "grpc_service.proto"):
        file = inference.POOL.FindFileByName(name)
        for message in file.message_types_by_name:
            assert getattr(inference, message).DESCRIPTOR is file.message_types_by_name[message]
        for enum in file.enum_types_by_name:
            assert getattr(inference, enum).DESCRIPTOR is file.enum_types_by_name[enum]
    assert inference.DataType.Name(inference.TYPE_FP32) == "TYPE_FP32"


def test_request_survives_a_round_trip() -> None:
    """A message with nested tensors, maps and raw bytes reads back equal."""
    tensor = inference.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 2])
    request = inference.ModelInferRequest(
        model_name="iris",
        parameters={"priority": inference.InferParameter(uint64_param=2**63)},
        inputs=[tensor],
        raw_input_contents=[b"\0" * 8],
    )

    again = inference.ModelInferRequest.FromString(request.SerializeToString())

    assert again == request
    assert again.parameters["priority"].WhichOneof("parameter_choice") == "uint64_param"


OTHER_LIBRARY: Final = """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    def other_library():
        # tritonclient, kserve and mlserver each do this at import, with files of different names and contents.
        pool = descriptor_pool.Default()
        file = descriptor_pb2.FileDescriptorProto(name="other.proto", package="inference", syntax="proto3")
        for name in ("ModelInferRequest", "ModelConfig"):
            message = file.message_type.add(name=name)
            message.field.add(name="model_name", number=1, type=9, label=1)
        file.service.add(name="GRPCInferenceService")
        pool.AddSerializedFile(file.SerializeToString())
        return message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelInferRequest"))
"""


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_process_may_also_import_another_copy_of_the_package(first: str) -> None:
    """Two libraries that define package `inference` live in one process, whichever comes first."""
    steps = ["from penstock.wire import inference", "theirs = other_library()"]
    used = [
        "request = inference.ModelInferRequest(model_name='m', id='7')",
        "assert theirs.FromString(request.SerializeToString()).model_name == 'm'",
        "assert theirs is not inference.ModelInferRequest",
    ]
    ordered = steps if first == "ours" else steps[::-1]

    script = textwrap.dedent(OTHER_LIBRARY) + "\n".join(ordered + used)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(importlib.util.find_spec("grpc_tools") is None, reason="grpcio-tools is not installed")
def test_committed_descriptors_and_stub_match_the_protos() -> None:
    """Nobody edited a .proto file without running protos/generate.py."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "protos" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
