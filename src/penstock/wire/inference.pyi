"""The types of what inference.py builds. Made by protos/generate.py of protos/*.proto: do not edit."""

# fmt: off
# ruff: noqa: A002, E501, N802, PYI021

from collections.abc import Iterable, Mapping
from typing import Literal, final

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.containers import (
    MessageMap,
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
    ScalarMap,
)
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

POOL: DescriptorPool
SERVICE: ServiceDescriptor
DataType: EnumTypeWrapper
TYPE_INVALID: int
TYPE_BOOL: int
TYPE_UINT8: int
TYPE_UINT16: int
TYPE_UINT32: int
TYPE_UINT64: int
TYPE_INT8: int
TYPE_INT16: int
TYPE_INT32: int
TYPE_INT64: int
TYPE_FP16: int
TYPE_FP32: int
TYPE_FP64: int
TYPE_STRING: int
TYPE_BF16: int

@final
class ModelConfig(Message):
    name: str
    platform: str
    backend: str
    runtime: str
    @property
    def version_policy(self) -> ModelVersionPolicy: ...
    max_batch_size: int
    @property
    def input(self) -> RepeatedCompositeFieldContainer[ModelInput]: ...
    @property
    def output(self) -> RepeatedCompositeFieldContainer[ModelOutput]: ...
    @property
    def batch_input(self) -> RepeatedCompositeFieldContainer[BatchInput]: ...
    @property
    def batch_output(self) -> RepeatedCompositeFieldContainer[BatchOutput]: ...
    @property
    def optimization(self) -> ModelOptimizationPolicy: ...
    @property
    def dynamic_batching(self) -> ModelDynamicBatching: ...
    @property
    def sequence_batching(self) -> ModelSequenceBatching: ...
    @property
    def ensemble_scheduling(self) -> ModelEnsembling: ...
    @property
    def instance_group(self) -> RepeatedCompositeFieldContainer[ModelInstanceGroup]: ...
    default_model_filename: str
    @property
    def cc_model_filenames(self) -> ScalarMap[str, str]: ...
    @property
    def metric_tags(self) -> ScalarMap[str, str]: ...
    @property
    def parameters(self) -> MessageMap[str, ModelParameter]: ...
    @property
    def model_warmup(self) -> RepeatedCompositeFieldContainer[ModelWarmup]: ...
    @property
    def model_operations(self) -> ModelOperations: ...
    @property
    def model_transaction_policy(self) -> ModelTransactionPolicy: ...
    @property
    def model_repository_agents(self) -> ModelRepositoryAgents: ...
    @property
    def response_cache(self) -> ModelResponseCache: ...
    @property
    def model_metrics(self) -> ModelMetrics: ...
    def __init__(
        self,
        *,
        name: str = ...,
        platform: str = ...,
        backend: str = ...,
        runtime: str = ...,
        version_policy: ModelVersionPolicy | None = ...,
        max_batch_size: int = ...,
        input: Iterable[ModelInput] | None = ...,
        output: Iterable[ModelOutput] | None = ...,
        batch_input: Iterable[BatchInput] | None = ...,
        batch_output: Iterable[BatchOutput] | None = ...,
        optimization: ModelOptimizationPolicy | None = ...,
        dynamic_batching: ModelDynamicBatching | None = ...,
        sequence_batching: ModelSequenceBatching | None = ...,
        ensemble_scheduling: ModelEnsembling | None = ...,
        instance_group: Iterable[ModelInstanceGroup] | None = ...,
        default_model_filename: str = ...,
        cc_model_filenames: Mapping[str, str] | None = ...,
        metric_tags: Mapping[str, str] | None = ...,
        parameters: Mapping[str, ModelParameter] | None = ...,
        model_warmup: Iterable[ModelWarmup] | None = ...,
        model_operations: ModelOperations | None = ...,
        model_transaction_policy: ModelTransactionPolicy | None = ...,
        model_repository_agents: ModelRepositoryAgents | None = ...,
        response_cache: ModelResponseCache | None = ...,
        model_metrics: ModelMetrics | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["version_policy", "optimization", "dynamic_batching", "sequence_batching", "ensemble_scheduling", "model_operations", "model_transaction_policy", "model_repository_agents", "response_cache", "model_metrics"]) -> bool: ...
    def WhichOneof(self, oneof_group: Literal["scheduling_choice"]) -> Literal["dynamic_batching", "sequence_batching", "ensemble_scheduling"] | None: ...

@final
class ModelVersionPolicy(Message):
    @final
    class Latest(Message):
        num_versions: int
        def __init__(
            self,
            *,
            num_versions: int = ...,
        ) -> None: ...

    @final
    class All(Message):
        def __init__(self) -> None: ...

    @final
    class Specific(Message):
        @property
        def versions(self) -> RepeatedScalarFieldContainer[int]: ...
        def __init__(
            self,
            *,
            versions: Iterable[int] | None = ...,
        ) -> None: ...

    @property
    def latest(self) -> ModelVersionPolicy.Latest: ...
    @property
    def all(self) -> ModelVersionPolicy.All: ...
    @property
    def specific(self) -> ModelVersionPolicy.Specific: ...
    def __init__(
        self,
        *,
        latest: ModelVersionPolicy.Latest | None = ...,
        all: ModelVersionPolicy.All | None = ...,
        specific: ModelVersionPolicy.Specific | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["latest", "all", "specific"]) -> bool: ...
    def WhichOneof(self, oneof_group: Literal["policy_choice"]) -> Literal["latest", "all", "specific"] | None: ...

@final
class ModelTensorReshape(Message):
    @property
    def shape(self) -> RepeatedScalarFieldContainer[int]: ...
    def __init__(
        self,
        *,
        shape: Iterable[int] | None = ...,
    ) -> None: ...

@final
class ModelInput(Message):
    Format: EnumTypeWrapper
    FORMAT_NONE: int
    FORMAT_NHWC: int
    FORMAT_NCHW: int
    name: str
    data_type: int
    format: int
    @property
    def dims(self) -> RepeatedScalarFieldContainer[int]: ...
    @property
    def reshape(self) -> ModelTensorReshape: ...
    is_shape_tensor: bool
    allow_ragged_batch: bool
    optional: bool
    is_non_linear_format_io: bool
    def __init__(
        self,
        *,
        name: str = ...,
        data_type: int = ...,
        format: int = ...,
        dims: Iterable[int] | None = ...,
        reshape: ModelTensorReshape | None = ...,
        is_shape_tensor: bool = ...,
        allow_ragged_batch: bool = ...,
        optional: bool = ...,
        is_non_linear_format_io: bool = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["reshape"]) -> bool: ...

@final
class ModelOutput(Message):
    name: str
    data_type: int
    @property
    def dims(self) -> RepeatedScalarFieldContainer[int]: ...
    label_filename: str
    @property
    def reshape(self) -> ModelTensorReshape: ...
    is_shape_tensor: bool
    is_non_linear_format_io: bool
    def __init__(
        self,
        *,
        name: str = ...,
        data_type: int = ...,
        dims: Iterable[int] | None = ...,
        label_filename: str = ...,
        reshape: ModelTensorReshape | None = ...,
        is_shape_tensor: bool = ...,
        is_non_linear_format_io: bool = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["reshape"]) -> bool: ...

@final
class BatchInput(Message):
    Kind: EnumTypeWrapper
    BATCH_ELEMENT_COUNT: int
    BATCH_ACCUMULATED_ELEMENT_COUNT: int
    BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO: int
    BATCH_MAX_ELEMENT_COUNT_AS_SHAPE: int
    BATCH_ITEM_SHAPE: int
    BATCH_ITEM_SHAPE_FLATTEN: int
    kind: int
    @property
    def target_name(self) -> RepeatedScalarFieldContainer[str]: ...
    data_type: int
    @property
    def source_input(self) -> RepeatedScalarFieldContainer[str]: ...
    def __init__(
        self,
        *,
        kind: int = ...,
        target_name: Iterable[str] | None = ...,
        data_type: int = ...,
        source_input: Iterable[str] | None = ...,
    ) -> None: ...

@final
class BatchOutput(Message):
    Kind: EnumTypeWrapper
    BATCH_SCATTER_WITH_INPUT_SHAPE: int
    @property
    def target_name(self) -> RepeatedScalarFieldContainer[str]: ...
    kind: int
    @property
    def source_input(self) -> RepeatedScalarFieldContainer[str]: ...
    def __init__(
        self,
        *,
        target_name: Iterable[str] | None = ...,
        kind: int = ...,
        source_input: Iterable[str] | None = ...,
    ) -> None: ...

@final
class ModelRateLimiter(Message):
    @final
    class Resource(Message):
        name: str
        count: int
        def __init__(
            self,
            *,
            name: str = ...,
            count: int = ...,
        ) -> None: ...

    @property
    def resources(self) -> RepeatedCompositeFieldContainer[ModelRateLimiter.Resource]: ...
    priority: int
    def __init__(
        self,
        *,
        resources: Iterable[ModelRateLimiter.Resource] | None = ...,
        priority: int = ...,
    ) -> None: ...

@final
class ModelInstanceGroup(Message):
    @final
    class SecondaryDevice(Message):
        SecondaryDeviceKind: EnumTypeWrapper
        KIND_NVDLA: int
        kind: int
        device_id: int
        def __init__(
            self,
            *,
            kind: int = ...,
            device_id: int = ...,
        ) -> None: ...

    Kind: EnumTypeWrapper
    KIND_AUTO: int
    KIND_GPU: int
    KIND_CPU: int
    KIND_MODEL: int
    name: str
    kind: int
    count: int
    @property
    def gpus(self) -> RepeatedScalarFieldContainer[int]: ...
    @property
    def profile(self) -> RepeatedScalarFieldContainer[str]: ...
    @property
    def rate_limiter(self) -> ModelRateLimiter: ...
    passive: bool
    @property
    def secondary_devices(self) -> RepeatedCompositeFieldContainer[ModelInstanceGroup.SecondaryDevice]: ...
    host_policy: str
    def __init__(
        self,
        *,
        name: str = ...,
        kind: int = ...,
        count: int = ...,
        gpus: Iterable[int] | None = ...,
        profile: Iterable[str] | None = ...,
        rate_limiter: ModelRateLimiter | None = ...,
        passive: bool = ...,
        secondary_devices: Iterable[ModelInstanceGroup.SecondaryDevice] | None = ...,
        host_policy: str = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["rate_limiter"]) -> bool: ...

@final
class ModelOptimizationPolicy(Message):
    @final
    class Graph(Message):
        level: int
        def __init__(
            self,
            *,
            level: int = ...,
        ) -> None: ...

    @final
    class Cuda(Message):
        @final
        class GraphSpec(Message):
            @final
            class Shape(Message):
                @property
                def dim(self) -> RepeatedScalarFieldContainer[int]: ...
                def __init__(
                    self,
                    *,
                    dim: Iterable[int] | None = ...,
                ) -> None: ...

            @final
            class LowerBound(Message):
                batch_size: int
                @property
                def input(self) -> MessageMap[str, ModelOptimizationPolicy.Cuda.GraphSpec.Shape]: ...
                def __init__(
                    self,
                    *,
                    batch_size: int = ...,
                    input: Mapping[str, ModelOptimizationPolicy.Cuda.GraphSpec.Shape] | None = ...,
                ) -> None: ...

            batch_size: int
            @property
            def input(self) -> MessageMap[str, ModelOptimizationPolicy.Cuda.GraphSpec.Shape]: ...
            @property
            def graph_lower_bound(self) -> ModelOptimizationPolicy.Cuda.GraphSpec.LowerBound: ...
            def __init__(
                self,
                *,
                batch_size: int = ...,
                input: Mapping[str, ModelOptimizationPolicy.Cuda.GraphSpec.Shape] | None = ...,
                graph_lower_bound: ModelOptimizationPolicy.Cuda.GraphSpec.LowerBound | None = ...,
            ) -> None: ...
            def HasField(self, field_name: Literal["graph_lower_bound"]) -> bool: ...

        graphs: bool
        busy_wait_events: bool
        @property
        def graph_spec(self) -> RepeatedCompositeFieldContainer[ModelOptimizationPolicy.Cuda.GraphSpec]: ...
        output_copy_stream: bool
        def __init__(
            self,
            *,
            graphs: bool = ...,
            busy_wait_events: bool = ...,
            graph_spec: Iterable[ModelOptimizationPolicy.Cuda.GraphSpec] | None = ...,
            output_copy_stream: bool = ...,
        ) -> None: ...

    @final
    class ExecutionAccelerators(Message):
        @final
        class Accelerator(Message):
            name: str
            @property
            def parameters(self) -> ScalarMap[str, str]: ...
            def __init__(
                self,
                *,
                name: str = ...,
                parameters: Mapping[str, str] | None = ...,
            ) -> None: ...

        @property
        def gpu_execution_accelerator(self) -> RepeatedCompositeFieldContainer[ModelOptimizationPolicy.ExecutionAccelerators.Accelerator]: ...
        @property
        def cpu_execution_accelerator(self) -> RepeatedCompositeFieldContainer[ModelOptimizationPolicy.ExecutionAccelerators.Accelerator]: ...
        def __init__(
            self,
            *,
            gpu_execution_accelerator: Iterable[ModelOptimizationPolicy.ExecutionAccelerators.Accelerator] | None = ...,
            cpu_execution_accelerator: Iterable[ModelOptimizationPolicy.ExecutionAccelerators.Accelerator] | None = ...,
        ) -> None: ...

    @final
    class PinnedMemoryBuffer(Message):
        enable: bool
        def __init__(
            self,
            *,
            enable: bool = ...,
        ) -> None: ...

    ModelPriority: EnumTypeWrapper
    PRIORITY_DEFAULT: int
    PRIORITY_MAX: int
    PRIORITY_MIN: int
    @property
    def graph(self) -> ModelOptimizationPolicy.Graph: ...
    priority: int
    @property
    def cuda(self) -> ModelOptimizationPolicy.Cuda: ...
    @property
    def execution_accelerators(self) -> ModelOptimizationPolicy.ExecutionAccelerators: ...
    @property
    def input_pinned_memory(self) -> ModelOptimizationPolicy.PinnedMemoryBuffer: ...
    @property
    def output_pinned_memory(self) -> ModelOptimizationPolicy.PinnedMemoryBuffer: ...
    gather_kernel_buffer_threshold: int
    eager_batching: bool
    def __init__(
        self,
        *,
        graph: ModelOptimizationPolicy.Graph | None = ...,
        priority: int = ...,
        cuda: ModelOptimizationPolicy.Cuda | None = ...,
        execution_accelerators: ModelOptimizationPolicy.ExecutionAccelerators | None = ...,
        input_pinned_memory: ModelOptimizationPolicy.PinnedMemoryBuffer | None = ...,
        output_pinned_memory: ModelOptimizationPolicy.PinnedMemoryBuffer | None = ...,
        gather_kernel_buffer_threshold: int = ...,
        eager_batching: bool = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["graph", "cuda", "execution_accelerators", "input_pinned_memory", "output_pinned_memory"]) -> bool: ...

@final
class ModelQueuePolicy(Message):
    TimeoutAction: EnumTypeWrapper
    REJECT: int
    DELAY: int
    timeout_action: int
    default_timeout_microseconds: int
    allow_timeout_override: bool
    max_queue_size: int
    def __init__(
        self,
        *,
        timeout_action: int = ...,
        default_timeout_microseconds: int = ...,
        allow_timeout_override: bool = ...,
        max_queue_size: int = ...,
    ) -> None: ...

@final
class ModelDynamicBatching(Message):
    @property
    def preferred_batch_size(self) -> RepeatedScalarFieldContainer[int]: ...
    max_queue_delay_microseconds: int
    preserve_ordering: bool
    priority_levels: int
    default_priority_level: int
    @property
    def default_queue_policy(self) -> ModelQueuePolicy: ...
    @property
    def priority_queue_policy(self) -> MessageMap[int, ModelQueuePolicy]: ...
    def __init__(
        self,
        *,
        preferred_batch_size: Iterable[int] | None = ...,
        max_queue_delay_microseconds: int = ...,
        preserve_ordering: bool = ...,
        priority_levels: int = ...,
        default_priority_level: int = ...,
        default_queue_policy: ModelQueuePolicy | None = ...,
        priority_queue_policy: Mapping[int, ModelQueuePolicy] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["default_queue_policy"]) -> bool: ...

@final
class ModelSequenceBatching(Message):
    @final
    class Control(Message):
        Kind: EnumTypeWrapper
        CONTROL_SEQUENCE_START: int
        CONTROL_SEQUENCE_READY: int
        CONTROL_SEQUENCE_END: int
        CONTROL_SEQUENCE_CORRID: int
        kind: int
        @property
        def int32_false_true(self) -> RepeatedScalarFieldContainer[int]: ...
        @property
        def fp32_false_true(self) -> RepeatedScalarFieldContainer[float]: ...
        data_type: int
        @property
        def bool_false_true(self) -> RepeatedScalarFieldContainer[bool]: ...
        def __init__(
            self,
            *,
            kind: int = ...,
            int32_false_true: Iterable[int] | None = ...,
            fp32_false_true: Iterable[float] | None = ...,
            data_type: int = ...,
            bool_false_true: Iterable[bool] | None = ...,
        ) -> None: ...

    @final
    class ControlInput(Message):
        name: str
        @property
        def control(self) -> RepeatedCompositeFieldContainer[ModelSequenceBatching.Control]: ...
        def __init__(
            self,
            *,
            name: str = ...,
            control: Iterable[ModelSequenceBatching.Control] | None = ...,
        ) -> None: ...

    @final
    class InitialState(Message):
        data_type: int
        @property
        def dims(self) -> RepeatedScalarFieldContainer[int]: ...
        zero_data: bool
        data_file: str
        name: str
        def __init__(
            self,
            *,
            data_type: int = ...,
            dims: Iterable[int] | None = ...,
            zero_data: bool | None = ...,
            data_file: str | None = ...,
            name: str = ...,
        ) -> None: ...
        def HasField(self, field_name: Literal["zero_data", "data_file"]) -> bool: ...
        def WhichOneof(self, oneof_group: Literal["state_data"]) -> Literal["zero_data", "data_file"] | None: ...

    @final
    class State(Message):
        input_name: str
        output_name: str
        data_type: int
        @property
        def dims(self) -> RepeatedScalarFieldContainer[int]: ...
        @property
        def initial_state(self) -> RepeatedCompositeFieldContainer[ModelSequenceBatching.InitialState]: ...
        use_same_buffer_for_input_output: bool
        use_growable_memory: bool
        def __init__(
            self,
            *,
            input_name: str = ...,
            output_name: str = ...,
            data_type: int = ...,
            dims: Iterable[int] | None = ...,
            initial_state: Iterable[ModelSequenceBatching.InitialState] | None = ...,
            use_same_buffer_for_input_output: bool = ...,
            use_growable_memory: bool = ...,
        ) -> None: ...

    @final
    class StrategyDirect(Message):
        max_queue_delay_microseconds: int
        minimum_slot_utilization: float
        def __init__(
            self,
            *,
            max_queue_delay_microseconds: int = ...,
            minimum_slot_utilization: float = ...,
        ) -> None: ...

    @final
    class StrategyOldest(Message):
        max_candidate_sequences: int
        @property
        def preferred_batch_size(self) -> RepeatedScalarFieldContainer[int]: ...
        max_queue_delay_microseconds: int
        preserve_ordering: bool
        def __init__(
            self,
            *,
            max_candidate_sequences: int = ...,
            preferred_batch_size: Iterable[int] | None = ...,
            max_queue_delay_microseconds: int = ...,
            preserve_ordering: bool = ...,
        ) -> None: ...

    max_sequence_idle_microseconds: int
    @property
    def control_input(self) -> RepeatedCompositeFieldContainer[ModelSequenceBatching.ControlInput]: ...
    @property
    def direct(self) -> ModelSequenceBatching.StrategyDirect: ...
    @property
    def oldest(self) -> ModelSequenceBatching.StrategyOldest: ...
    @property
    def state(self) -> RepeatedCompositeFieldContainer[ModelSequenceBatching.State]: ...
    iterative_sequence: bool
    def __init__(
        self,
        *,
        max_sequence_idle_microseconds: int = ...,
        control_input: Iterable[ModelSequenceBatching.ControlInput] | None = ...,
        direct: ModelSequenceBatching.StrategyDirect | None = ...,
        oldest: ModelSequenceBatching.StrategyOldest | None = ...,
        state: Iterable[ModelSequenceBatching.State] | None = ...,
        iterative_sequence: bool = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["direct", "oldest"]) -> bool: ...
    def WhichOneof(self, oneof_group: Literal["strategy_choice"]) -> Literal["direct", "oldest"] | None: ...

@final
class ModelEnsembling(Message):
    @final
    class Step(Message):
        model_name: str
        model_version: int
        @property
        def input_map(self) -> ScalarMap[str, str]: ...
        @property
        def output_map(self) -> ScalarMap[str, str]: ...
        model_namespace: str
        def __init__(
            self,
            *,
            model_name: str = ...,
            model_version: int = ...,
            input_map: Mapping[str, str] | None = ...,
            output_map: Mapping[str, str] | None = ...,
            model_namespace: str = ...,
        ) -> None: ...

    @property
    def step(self) -> RepeatedCompositeFieldContainer[ModelEnsembling.Step]: ...
    max_inflight_requests: int
    def __init__(
        self,
        *,
        step: Iterable[ModelEnsembling.Step] | None = ...,
        max_inflight_requests: int = ...,
    ) -> None: ...

@final
class ModelParameter(Message):
    string_value: str
    def __init__(
        self,
        *,
        string_value: str = ...,
    ) -> None: ...

@final
class ModelWarmup(Message):
    @final
    class Input(Message):
        data_type: int
        @property
        def dims(self) -> RepeatedScalarFieldContainer[int]: ...
        zero_data: bool
        random_data: bool
        input_data_file: str
        def __init__(
            self,
            *,
            data_type: int = ...,
            dims: Iterable[int] | None = ...,
            zero_data: bool | None = ...,
            random_data: bool | None = ...,
            input_data_file: str | None = ...,
        ) -> None: ...
        def HasField(self, field_name: Literal["zero_data", "random_data", "input_data_file"]) -> bool: ...
        def WhichOneof(self, oneof_group: Literal["input_data_type"]) -> Literal["zero_data", "random_data", "input_data_file"] | None: ...

    name: str
    batch_size: int
    @property
    def inputs(self) -> MessageMap[str, ModelWarmup.Input]: ...
    count: int
    def __init__(
        self,
        *,
        name: str = ...,
        batch_size: int = ...,
        inputs: Mapping[str, ModelWarmup.Input] | None = ...,
        count: int = ...,
    ) -> None: ...

@final
class ModelOperations(Message):
    @property
    def op_library_filename(self) -> RepeatedScalarFieldContainer[str]: ...
    def __init__(
        self,
        *,
        op_library_filename: Iterable[str] | None = ...,
    ) -> None: ...

@final
class ModelTransactionPolicy(Message):
    decoupled: bool
    def __init__(
        self,
        *,
        decoupled: bool = ...,
    ) -> None: ...

@final
class ModelRepositoryAgents(Message):
    @final
    class Agent(Message):
        name: str
        @property
        def parameters(self) -> ScalarMap[str, str]: ...
        def __init__(
            self,
            *,
            name: str = ...,
            parameters: Mapping[str, str] | None = ...,
        ) -> None: ...

    @property
    def agents(self) -> RepeatedCompositeFieldContainer[ModelRepositoryAgents.Agent]: ...
    def __init__(
        self,
        *,
        agents: Iterable[ModelRepositoryAgents.Agent] | None = ...,
    ) -> None: ...

@final
class ModelResponseCache(Message):
    enable: bool
    def __init__(
        self,
        *,
        enable: bool = ...,
    ) -> None: ...

@final
class ModelMetrics(Message):
    @final
    class MetricControl(Message):
        @final
        class MetricIdentifier(Message):
            family: str
            def __init__(
                self,
                *,
                family: str = ...,
            ) -> None: ...

        @final
        class HistogramOptions(Message):
            @property
            def buckets(self) -> RepeatedScalarFieldContainer[float]: ...
            def __init__(
                self,
                *,
                buckets: Iterable[float] | None = ...,
            ) -> None: ...

        @property
        def metric_identifier(self) -> ModelMetrics.MetricControl.MetricIdentifier: ...
        @property
        def histogram_options(self) -> ModelMetrics.MetricControl.HistogramOptions: ...
        def __init__(
            self,
            *,
            metric_identifier: ModelMetrics.MetricControl.MetricIdentifier | None = ...,
            histogram_options: ModelMetrics.MetricControl.HistogramOptions | None = ...,
        ) -> None: ...
        def HasField(self, field_name: Literal["metric_identifier", "histogram_options"]) -> bool: ...
        def WhichOneof(self, oneof_group: Literal["metric_options"]) -> Literal["histogram_options"] | None: ...

    @property
    def metric_control(self) -> RepeatedCompositeFieldContainer[ModelMetrics.MetricControl]: ...
    def __init__(
        self,
        *,
        metric_control: Iterable[ModelMetrics.MetricControl] | None = ...,
    ) -> None: ...

@final
class ServerLiveRequest(Message):
    def __init__(self) -> None: ...

@final
class ServerLiveResponse(Message):
    live: bool
    def __init__(
        self,
        *,
        live: bool = ...,
    ) -> None: ...

@final
class ServerReadyRequest(Message):
    def __init__(self) -> None: ...

@final
class ServerReadyResponse(Message):
    ready: bool
    def __init__(
        self,
        *,
        ready: bool = ...,
    ) -> None: ...

@final
class ModelReadyRequest(Message):
    name: str
    version: str
    def __init__(
        self,
        *,
        name: str = ...,
        version: str = ...,
    ) -> None: ...

@final
class ModelReadyResponse(Message):
    ready: bool
    def __init__(
        self,
        *,
        ready: bool = ...,
    ) -> None: ...

@final
class ServerMetadataRequest(Message):
    def __init__(self) -> None: ...

@final
class ServerMetadataResponse(Message):
    name: str
    version: str
    @property
    def extensions(self) -> RepeatedScalarFieldContainer[str]: ...
    @property
    def parameters(self) -> ScalarMap[str, int]: ...
    def __init__(
        self,
        *,
        name: str = ...,
        version: str = ...,
        extensions: Iterable[str] | None = ...,
        parameters: Mapping[str, int] | None = ...,
    ) -> None: ...

@final
class ModelMetadataRequest(Message):
    name: str
    version: str
    def __init__(
        self,
        *,
        name: str = ...,
        version: str = ...,
    ) -> None: ...

@final
class ModelMetadataResponse(Message):
    @final
    class TensorMetadata(Message):
        name: str
        datatype: str
        @property
        def shape(self) -> RepeatedScalarFieldContainer[int]: ...
        def __init__(
            self,
            *,
            name: str = ...,
            datatype: str = ...,
            shape: Iterable[int] | None = ...,
        ) -> None: ...

    name: str
    @property
    def versions(self) -> RepeatedScalarFieldContainer[str]: ...
    platform: str
    @property
    def inputs(self) -> RepeatedCompositeFieldContainer[ModelMetadataResponse.TensorMetadata]: ...
    @property
    def outputs(self) -> RepeatedCompositeFieldContainer[ModelMetadataResponse.TensorMetadata]: ...
    @property
    def properties(self) -> ScalarMap[str, str]: ...
    def __init__(
        self,
        *,
        name: str = ...,
        versions: Iterable[str] | None = ...,
        platform: str = ...,
        inputs: Iterable[ModelMetadataResponse.TensorMetadata] | None = ...,
        outputs: Iterable[ModelMetadataResponse.TensorMetadata] | None = ...,
        properties: Mapping[str, str] | None = ...,
    ) -> None: ...

@final
class InferParameter(Message):
    bool_param: bool
    int64_param: int
    string_param: str
    double_param: float
    uint64_param: int
    def __init__(
        self,
        *,
        bool_param: bool | None = ...,
        int64_param: int | None = ...,
        string_param: str | None = ...,
        double_param: float | None = ...,
        uint64_param: int | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["bool_param", "int64_param", "string_param", "double_param", "uint64_param"]) -> bool: ...
    def WhichOneof(self, oneof_group: Literal["parameter_choice"]) -> Literal["bool_param", "int64_param", "string_param", "double_param", "uint64_param"] | None: ...

@final
class InferTensorContents(Message):
    @property
    def bool_contents(self) -> RepeatedScalarFieldContainer[bool]: ...
    @property
    def int_contents(self) -> RepeatedScalarFieldContainer[int]: ...
    @property
    def int64_contents(self) -> RepeatedScalarFieldContainer[int]: ...
    @property
    def uint_contents(self) -> RepeatedScalarFieldContainer[int]: ...
    @property
    def uint64_contents(self) -> RepeatedScalarFieldContainer[int]: ...
    @property
    def fp32_contents(self) -> RepeatedScalarFieldContainer[float]: ...
    @property
    def fp64_contents(self) -> RepeatedScalarFieldContainer[float]: ...
    @property
    def bytes_contents(self) -> RepeatedScalarFieldContainer[bytes]: ...
    def __init__(
        self,
        *,
        bool_contents: Iterable[bool] | None = ...,
        int_contents: Iterable[int] | None = ...,
        int64_contents: Iterable[int] | None = ...,
        uint_contents: Iterable[int] | None = ...,
        uint64_contents: Iterable[int] | None = ...,
        fp32_contents: Iterable[float] | None = ...,
        fp64_contents: Iterable[float] | None = ...,
        bytes_contents: Iterable[bytes] | None = ...,
    ) -> None: ...

@final
class ModelInferRequest(Message):
    @final
    class InferInputTensor(Message):
        name: str
        datatype: str
        @property
        def shape(self) -> RepeatedScalarFieldContainer[int]: ...
        @property
        def parameters(self) -> MessageMap[str, InferParameter]: ...
        @property
        def contents(self) -> InferTensorContents: ...
        def __init__(
            self,
            *,
            name: str = ...,
            datatype: str = ...,
            shape: Iterable[int] | None = ...,
            parameters: Mapping[str, InferParameter] | None = ...,
            contents: InferTensorContents | None = ...,
        ) -> None: ...
        def HasField(self, field_name: Literal["contents"]) -> bool: ...

    @final
    class InferRequestedOutputTensor(Message):
        name: str
        @property
        def parameters(self) -> MessageMap[str, InferParameter]: ...
        def __init__(
            self,
            *,
            name: str = ...,
            parameters: Mapping[str, InferParameter] | None = ...,
        ) -> None: ...

    model_name: str
    model_version: str
    id: str
    @property
    def parameters(self) -> MessageMap[str, InferParameter]: ...
    @property
    def inputs(self) -> RepeatedCompositeFieldContainer[ModelInferRequest.InferInputTensor]: ...
    @property
    def outputs(self) -> RepeatedCompositeFieldContainer[ModelInferRequest.InferRequestedOutputTensor]: ...
    @property
    def raw_input_contents(self) -> RepeatedScalarFieldContainer[bytes]: ...
    def __init__(
        self,
        *,
        model_name: str = ...,
        model_version: str = ...,
        id: str = ...,
        parameters: Mapping[str, InferParameter] | None = ...,
        inputs: Iterable[ModelInferRequest.InferInputTensor] | None = ...,
        outputs: Iterable[ModelInferRequest.InferRequestedOutputTensor] | None = ...,
        raw_input_contents: Iterable[bytes] | None = ...,
    ) -> None: ...

@final
class ModelInferResponse(Message):
    @final
    class InferOutputTensor(Message):
        name: str
        datatype: str
        @property
        def shape(self) -> RepeatedScalarFieldContainer[int]: ...
        @property
        def parameters(self) -> MessageMap[str, InferParameter]: ...
        @property
        def contents(self) -> InferTensorContents: ...
        def __init__(
            self,
            *,
            name: str = ...,
            datatype: str = ...,
            shape: Iterable[int] | None = ...,
            parameters: Mapping[str, InferParameter] | None = ...,
            contents: InferTensorContents | None = ...,
        ) -> None: ...
        def HasField(self, field_name: Literal["contents"]) -> bool: ...

    model_name: str
    model_version: str
    id: str
    @property
    def parameters(self) -> MessageMap[str, InferParameter]: ...
    @property
    def outputs(self) -> RepeatedCompositeFieldContainer[ModelInferResponse.InferOutputTensor]: ...
    @property
    def raw_output_contents(self) -> RepeatedScalarFieldContainer[bytes]: ...
    def __init__(
        self,
        *,
        model_name: str = ...,
        model_version: str = ...,
        id: str = ...,
        parameters: Mapping[str, InferParameter] | None = ...,
        outputs: Iterable[ModelInferResponse.InferOutputTensor] | None = ...,
        raw_output_contents: Iterable[bytes] | None = ...,
    ) -> None: ...

@final
class ModelStreamInferResponse(Message):
    error_message: str
    @property
    def infer_response(self) -> ModelInferResponse: ...
    def __init__(
        self,
        *,
        error_message: str = ...,
        infer_response: ModelInferResponse | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["infer_response"]) -> bool: ...

@final
class ModelConfigRequest(Message):
    name: str
    version: str
    def __init__(
        self,
        *,
        name: str = ...,
        version: str = ...,
    ) -> None: ...

@final
class ModelConfigResponse(Message):
    @property
    def config(self) -> ModelConfig: ...
    def __init__(
        self,
        *,
        config: ModelConfig | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["config"]) -> bool: ...

@final
class ModelStatisticsRequest(Message):
    name: str
    version: str
    def __init__(
        self,
        *,
        name: str = ...,
        version: str = ...,
    ) -> None: ...

@final
class ModelStatisticsResponse(Message):
    @property
    def model_stats(self) -> RepeatedCompositeFieldContainer[ModelStatistics]: ...
    def __init__(
        self,
        *,
        model_stats: Iterable[ModelStatistics] | None = ...,
    ) -> None: ...

@final
class ModelStatistics(Message):
    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    @property
    def inference_stats(self) -> InferStatistics: ...
    @property
    def batch_stats(self) -> RepeatedCompositeFieldContainer[InferBatchStatistics]: ...
    @property
    def memory_usage(self) -> RepeatedCompositeFieldContainer[MemoryUsage]: ...
    @property
    def response_stats(self) -> MessageMap[str, InferResponseStatistics]: ...
    def __init__(
        self,
        *,
        name: str = ...,
        version: str = ...,
        last_inference: int = ...,
        inference_count: int = ...,
        execution_count: int = ...,
        inference_stats: InferStatistics | None = ...,
        batch_stats: Iterable[InferBatchStatistics] | None = ...,
        memory_usage: Iterable[MemoryUsage] | None = ...,
        response_stats: Mapping[str, InferResponseStatistics] | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["inference_stats"]) -> bool: ...

@final
class StatisticDuration(Message):
    count: int
    ns: int
    def __init__(
        self,
        *,
        count: int = ...,
        ns: int = ...,
    ) -> None: ...

@final
class InferStatistics(Message):
    @property
    def success(self) -> StatisticDuration: ...
    @property
    def fail(self) -> StatisticDuration: ...
    @property
    def queue(self) -> StatisticDuration: ...
    @property
    def compute_input(self) -> StatisticDuration: ...
    @property
    def compute_infer(self) -> StatisticDuration: ...
    @property
    def compute_output(self) -> StatisticDuration: ...
    @property
    def cache_hit(self) -> StatisticDuration: ...
    @property
    def cache_miss(self) -> StatisticDuration: ...
    def __init__(
        self,
        *,
        success: StatisticDuration | None = ...,
        fail: StatisticDuration | None = ...,
        queue: StatisticDuration | None = ...,
        compute_input: StatisticDuration | None = ...,
        compute_infer: StatisticDuration | None = ...,
        compute_output: StatisticDuration | None = ...,
        cache_hit: StatisticDuration | None = ...,
        cache_miss: StatisticDuration | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss"]) -> bool: ...

@final
class InferBatchStatistics(Message):
    batch_size: int
    @property
    def compute_input(self) -> StatisticDuration: ...
    @property
    def compute_infer(self) -> StatisticDuration: ...
    @property
    def compute_output(self) -> StatisticDuration: ...
    def __init__(
        self,
        *,
        batch_size: int = ...,
        compute_input: StatisticDuration | None = ...,
        compute_infer: StatisticDuration | None = ...,
        compute_output: StatisticDuration | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["compute_input", "compute_infer", "compute_output"]) -> bool: ...

@final
class InferResponseStatistics(Message):
    @property
    def compute_infer(self) -> StatisticDuration: ...
    @property
    def compute_output(self) -> StatisticDuration: ...
    @property
    def success(self) -> StatisticDuration: ...
    @property
    def fail(self) -> StatisticDuration: ...
    @property
    def empty_response(self) -> StatisticDuration: ...
    @property
    def cancel(self) -> StatisticDuration: ...
    def __init__(
        self,
        *,
        compute_infer: StatisticDuration | None = ...,
        compute_output: StatisticDuration | None = ...,
        success: StatisticDuration | None = ...,
        fail: StatisticDuration | None = ...,
        empty_response: StatisticDuration | None = ...,
        cancel: StatisticDuration | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["compute_infer", "compute_output", "success", "fail", "empty_response", "cancel"]) -> bool: ...

@final
class MemoryUsage(Message):
    type: str
    id: int
    byte_size: int
    def __init__(
        self,
        *,
        type: str = ...,
        id: int = ...,
        byte_size: int = ...,
    ) -> None: ...

@final
class ModelRepositoryParameter(Message):
    bool_param: bool
    int64_param: int
    string_param: str
    bytes_param: bytes
    def __init__(
        self,
        *,
        bool_param: bool | None = ...,
        int64_param: int | None = ...,
        string_param: str | None = ...,
        bytes_param: bytes | None = ...,
    ) -> None: ...
    def HasField(self, field_name: Literal["bool_param", "int64_param", "string_param", "bytes_param"]) -> bool: ...
    def WhichOneof(self, oneof_group: Literal["parameter_choice"]) -> Literal["bool_param", "int64_param", "string_param", "bytes_param"] | None: ...

@final
class RepositoryIndexRequest(Message):
    repository_name: str
    ready: bool
    def __init__(
        self,
        *,
        repository_name: str = ...,
        ready: bool = ...,
    ) -> None: ...

@final
class RepositoryIndexResponse(Message):
    @final
    class ModelIndex(Message):
        name: str
        version: str
        state: str
        reason: str
        def __init__(
            self,
            *,
            name: str = ...,
            version: str = ...,
            state: str = ...,
            reason: str = ...,
        ) -> None: ...

    @property
    def models(self) -> RepeatedCompositeFieldContainer[RepositoryIndexResponse.ModelIndex]: ...
    def __init__(
        self,
        *,
        models: Iterable[RepositoryIndexResponse.ModelIndex] | None = ...,
    ) -> None: ...

@final
class RepositoryModelLoadRequest(Message):
    repository_name: str
    model_name: str
    @property
    def parameters(self) -> MessageMap[str, ModelRepositoryParameter]: ...
    def __init__(
        self,
        *,
        repository_name: str = ...,
        model_name: str = ...,
        parameters: Mapping[str, ModelRepositoryParameter] | None = ...,
    ) -> None: ...

@final
class RepositoryModelLoadResponse(Message):
    def __init__(self) -> None: ...

@final
class RepositoryModelUnloadRequest(Message):
    repository_name: str
    model_name: str
    @property
    def parameters(self) -> MessageMap[str, ModelRepositoryParameter]: ...
    def __init__(
        self,
        *,
        repository_name: str = ...,
        model_name: str = ...,
        parameters: Mapping[str, ModelRepositoryParameter] | None = ...,
    ) -> None: ...

@final
class RepositoryModelUnloadResponse(Message):
    def __init__(self) -> None: ...

@final
class SystemSharedMemoryStatusRequest(Message):
    name: str
    def __init__(
        self,
        *,
        name: str = ...,
    ) -> None: ...

@final
class SystemSharedMemoryStatusResponse(Message):
    @final
    class RegionStatus(Message):
        name: str
        key: str
        offset: int
        byte_size: int
        def __init__(
            self,
            *,
            name: str = ...,
            key: str = ...,
            offset: int = ...,
            byte_size: int = ...,
        ) -> None: ...

    @property
    def regions(self) -> MessageMap[str, SystemSharedMemoryStatusResponse.RegionStatus]: ...
    def __init__(
        self,
        *,
        regions: Mapping[str, SystemSharedMemoryStatusResponse.RegionStatus] | None = ...,
    ) -> None: ...

@final
class SystemSharedMemoryRegisterRequest(Message):
    name: str
    key: str
    offset: int
    byte_size: int
    def __init__(
        self,
        *,
        name: str = ...,
        key: str = ...,
        offset: int = ...,
        byte_size: int = ...,
    ) -> None: ...

@final
class SystemSharedMemoryRegisterResponse(Message):
    def __init__(self) -> None: ...

@final
class SystemSharedMemoryUnregisterRequest(Message):
    name: str
    def __init__(
        self,
        *,
        name: str = ...,
    ) -> None: ...

@final
class SystemSharedMemoryUnregisterResponse(Message):
    def __init__(self) -> None: ...

@final
class CudaSharedMemoryStatusRequest(Message):
    name: str
    def __init__(
        self,
        *,
        name: str = ...,
    ) -> None: ...

@final
class CudaSharedMemoryStatusResponse(Message):
    @final
    class RegionStatus(Message):
        name: str
        device_id: int
        byte_size: int
        def __init__(
            self,
            *,
            name: str = ...,
            device_id: int = ...,
            byte_size: int = ...,
        ) -> None: ...

    @property
    def regions(self) -> MessageMap[str, CudaSharedMemoryStatusResponse.RegionStatus]: ...
    def __init__(
        self,
        *,
        regions: Mapping[str, CudaSharedMemoryStatusResponse.RegionStatus] | None = ...,
    ) -> None: ...

@final
class CudaSharedMemoryRegisterRequest(Message):
    name: str
    raw_handle: bytes
    device_id: int
    byte_size: int
    def __init__(
        self,
        *,
        name: str = ...,
        raw_handle: bytes = ...,
        device_id: int = ...,
        byte_size: int = ...,
    ) -> None: ...

@final
class CudaSharedMemoryRegisterResponse(Message):
    def __init__(self) -> None: ...

@final
class CudaSharedMemoryUnregisterRequest(Message):
    name: str
    def __init__(
        self,
        *,
        name: str = ...,
    ) -> None: ...

@final
class CudaSharedMemoryUnregisterResponse(Message):
    def __init__(self) -> None: ...

@final
class TraceSettingRequest(Message):
    @final
    class SettingValue(Message):
        @property
        def value(self) -> RepeatedScalarFieldContainer[str]: ...
        def __init__(
            self,
            *,
            value: Iterable[str] | None = ...,
        ) -> None: ...

    @property
    def settings(self) -> MessageMap[str, TraceSettingRequest.SettingValue]: ...
    model_name: str
    def __init__(
        self,
        *,
        settings: Mapping[str, TraceSettingRequest.SettingValue] | None = ...,
        model_name: str = ...,
    ) -> None: ...

@final
class TraceSettingResponse(Message):
    @final
    class SettingValue(Message):
        @property
        def value(self) -> RepeatedScalarFieldContainer[str]: ...
        def __init__(
            self,
            *,
            value: Iterable[str] | None = ...,
        ) -> None: ...

    @property
    def settings(self) -> MessageMap[str, TraceSettingResponse.SettingValue]: ...
    def __init__(
        self,
        *,
        settings: Mapping[str, TraceSettingResponse.SettingValue] | None = ...,
    ) -> None: ...

@final
class LogSettingsRequest(Message):
    @final
    class SettingValue(Message):
        bool_param: bool
        uint32_param: int
        string_param: str
        def __init__(
            self,
            *,
            bool_param: bool | None = ...,
            uint32_param: int | None = ...,
            string_param: str | None = ...,
        ) -> None: ...
        def HasField(self, field_name: Literal["bool_param", "uint32_param", "string_param"]) -> bool: ...
        def WhichOneof(self, oneof_group: Literal["parameter_choice"]) -> Literal["bool_param", "uint32_param", "string_param"] | None: ...

    @property
    def settings(self) -> MessageMap[str, LogSettingsRequest.SettingValue]: ...
    def __init__(
        self,
        *,
        settings: Mapping[str, LogSettingsRequest.SettingValue] | None = ...,
    ) -> None: ...

@final
class LogSettingsResponse(Message):
    @final
    class SettingValue(Message):
        bool_param: bool
        uint32_param: int
        string_param: str
        def __init__(
            self,
            *,
            bool_param: bool | None = ...,
            uint32_param: int | None = ...,
            string_param: str | None = ...,
        ) -> None: ...
        def HasField(self, field_name: Literal["bool_param", "uint32_param", "string_param"]) -> bool: ...
        def WhichOneof(self, oneof_group: Literal["parameter_choice"]) -> Literal["bool_param", "uint32_param", "string_param"] | None: ...

    @property
    def settings(self) -> MessageMap[str, LogSettingsResponse.SettingValue]: ...
    def __init__(
        self,
        *,
        settings: Mapping[str, LogSettingsResponse.SettingValue] | None = ...,
    ) -> None: ...
