"""What the server tells about its models, as the protocol's messages: gRPC sends them, HTTP renders them as JSON."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from penstock.domain.errors import NotFound, Unavailable
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import TensorSpec
from penstock.lifecycle.catalog import Catalog, ServedModel
from penstock.lifecycle.states import VersionState
from penstock.lifecycle.version import Readiness, ServedVersion
from penstock.telemetry.statistics import BatchSizeStatistics, Duration, VersionStatistics
from penstock.wire import inference as pb

PLATFORM: Final = "onnxruntime_onnx"
EXTENSIONS: Final = (
    "classification",
    "model_repository",
    "schedule_policy",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
    "logging",
)
"""The protocol extensions offered, by the names that clients search for."""

_STATES: Final = {
    VersionState.LOADING: "LOADING",
    VersionState.WARMING: "LOADING",
    VersionState.READY: "READY",
    VersionState.DRAINING: "UNLOADING",
    VersionState.UNLOADED: "UNAVAILABLE",
    VersionState.FAILED: "UNAVAILABLE",
}
_CONFIG_TYPES: Final = {"BYTES": "TYPE_STRING"}

NO_LIMITS: Final[Mapping[str, int]] = MappingProxyType({})
"""Of a server that tells nothing of them."""


def server_metadata(version: str, limits: Mapping[str, int]) -> pb.ServerMetadataResponse:
    """Return name, version and extensions, and as parameters the limits in force."""
    return pb.ServerMetadataResponse(name="penstock", version=version, extensions=EXTENSIONS, parameters=limits)


def model_metadata(catalog: Catalog, name: str, reference: str = "") -> pb.ModelMetadataResponse:
    """Return inputs and outputs of a ready version; the batch dimension is -1 in front."""
    model = catalog.model(name)
    version = model.find(reference)
    versions = [version.identity.version] if reference else [str(number) for number in model.ready_versions]
    return pb.ModelMetadataResponse(
        name=name,
        versions=versions,
        platform=PLATFORM,
        inputs=[_metadata(spec) for spec in version.schema.inputs],
        outputs=[_metadata(spec) for spec in version.schema.outputs],
    )


def is_ready(catalog: Catalog, name: str, reference: str = "") -> bool:
    """Tell whether the version that would answer is ready; raises `NotFound` or `InvalidInput` for what can never be."""
    model = catalog.model(name)
    try:
        return not model.find(reference).ailment
    except Unavailable:
        return False
    except NotFound:
        if reference:
            raise
        return False


def model_config(catalog: Catalog, name: str, reference: str = "") -> pb.ModelConfig:
    """Return the configuration in force, as Triton's ModelConfig."""
    readiness = catalog.find(name, reference).readiness
    schema = readiness.schema
    config = pb.ModelConfig(
        name=name,
        platform=PLATFORM,
        backend="onnxruntime",
        default_model_filename=readiness.artifact.path.name,
        max_batch_size=max_batch_size(readiness),
        input=[_input(spec, schema) for spec in schema.inputs],
        output=[_output(spec, schema) for spec in schema.outputs],
        instance_group=_instances(readiness),
    )
    _add_policy(config, readiness)
    return config


def max_batch_size(readiness: Readiness) -> int:
    """Return the rows that one request may have as far as clients need to know; 0 without a batch dimension."""
    if not readiness.schema.batched:
        return 0
    return readiness.schema.max_batch_rows or readiness.options.max_batch_rows


def repository_index(catalog: Catalog, *, ready_only: bool) -> pb.RepositoryIndexResponse:
    """Return one entry for each version of each model, and one for a model without any."""
    entries = [entry for model in catalog for entry in _entries(model)]
    return pb.RepositoryIndexResponse(models=[e for e in entries if e.state == "READY" or not ready_only])


def model_statistics(catalog: Catalog, name: str = "", reference: str = "") -> pb.ModelStatisticsResponse:
    """Return the counters of every ready version, of one model's, or of one version."""
    return pb.ModelStatisticsResponse(model_stats=[_statistics(v) for v in _selected(catalog, name, reference)])


def _selected(catalog: Catalog, name: str, reference: str) -> Iterable[ServedVersion]:
    if not name:
        return [version for version in catalog.versions() if version.ready]
    model = catalog.model(name)
    if reference:
        return [model.find(reference)]
    return [model.versions[number] for number in model.ready_versions]


def _metadata(spec: TensorSpec) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype.wire, shape=spec.shape)


def _input(spec: TensorSpec, schema: ModelSchema) -> pb.ModelInput:
    dims, reshape = _dims(spec, schema)
    return pb.ModelInput(name=spec.name, data_type=_data_type(spec), dims=dims, reshape=reshape, optional=spec.optional)


def _output(spec: TensorSpec, schema: ModelSchema) -> pb.ModelOutput:
    dims, reshape = _dims(spec, schema)
    return pb.ModelOutput(name=spec.name, data_type=_data_type(spec), dims=dims, reshape=reshape)


def _data_type(spec: TensorSpec) -> int:
    return pb.DataType.Value(_CONFIG_TYPES.get(spec.datatype.wire, f"TYPE_{spec.datatype.wire}"))


def _dims(spec: TensorSpec, schema: ModelSchema) -> tuple[tuple[int, ...], pb.ModelTensorReshape | None]:
    """Return dimensions, which never hold the batch, and a reshape: a tensor without any others becomes [1] reshaped to []."""
    dims = spec.shape[1:] if schema.batched else spec.shape
    return (dims, None) if dims else ((1,), pb.ModelTensorReshape(shape=[]))


def _instances(readiness: Readiness) -> list[pb.ModelInstanceGroup]:
    kinds = {"cpu": pb.ModelInstanceGroup.KIND_CPU}
    return [
        pb.ModelInstanceGroup(
            name=device,
            count=lanes.count,
            kind=kinds.get(device, pb.ModelInstanceGroup.KIND_GPU),
            gpus=[int(index)] if (index := device.partition(":")[2]) else [],
        )
        for device, lanes in zip(readiness.options.devices, readiness.batcher.scheduler.kinds, strict=True)
    ]


def _add_policy(config: pb.ModelConfig, readiness: Readiness) -> None:
    rule = readiness.options.versions
    if rule == "all":
        config.version_policy.all.SetInParent()
    elif isinstance(rule, str):
        config.version_policy.latest.num_versions = int(rule.partition(":")[2])
    else:
        config.version_policy.specific.versions.extend(int(item) for item in rule if str(item).isdecimal())
    if readiness.batcher.scheduler.limits.together:
        config.dynamic_batching.SetInParent()


def _entries(model: ServedModel) -> list[pb.RepositoryIndexResponse.ModelIndex]:
    if not model.versions:
        return [pb.RepositoryIndexResponse.ModelIndex(name=model.name, state="UNAVAILABLE", reason=model.problem)]
    return [
        pb.RepositoryIndexResponse.ModelIndex(name=model.name, version=str(number), state=_STATES[version.state], reason=version.reason)
        for number, version in sorted(model.versions.items())
    ]


def _statistics(version: ServedVersion) -> pb.ModelStatistics:
    counted = version.statistics
    counted.count()
    return pb.ModelStatistics(
        name=version.identity.name,
        version=version.identity.version,
        last_inference=counted.last_inference_ms,
        inference_count=counted.inference_count,
        execution_count=counted.execution_count,
        inference_stats=_inference(counted),
        batch_stats=[_batch(rows, batch) for rows, batch in sorted(counted.batches.items())],
    )


def _inference(counted: VersionStatistics) -> pb.InferStatistics:
    return pb.InferStatistics(
        success=_duration(counted.success),
        fail=_duration(counted.fail),
        queue=_duration(counted.queue),
        compute_input=_duration(counted.compute_input),
        compute_infer=_duration(counted.compute_infer),
        compute_output=_duration(counted.compute_output),
        cache_hit=pb.StatisticDuration(),
        cache_miss=pb.StatisticDuration(),
    )


def _batch(rows: int, batch: BatchSizeStatistics) -> pb.InferBatchStatistics:
    return pb.InferBatchStatistics(
        batch_size=rows,
        compute_input=pb.StatisticDuration(count=batch.count, ns=batch.input_ns),
        compute_infer=pb.StatisticDuration(count=batch.count, ns=batch.infer_ns),
        compute_output=pb.StatisticDuration(count=batch.count, ns=batch.output_ns),
    )


def _duration(duration: Duration) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=duration.count, ns=duration.ns)
