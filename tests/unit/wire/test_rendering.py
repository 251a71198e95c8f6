"""Messages as JSON: the spelling that Triton's REST clients read."""

import json
import math

import pytest
from google.protobuf import json_format

from penstock.wire import inference
from penstock.wire.rendering import as_json


def test_empty_config_prints_defaults_and_no_messages() -> None:
    """Scalars, lists and maps are present though default; messages and oneof members are absent."""
    assert as_json(inference.ModelConfig()) == {
        "name": "",
        "platform": "",
        "backend": "",
        "runtime": "",
        "max_batch_size": 0,
        "input": [],
        "output": [],
        "batch_input": [],
        "batch_output": [],
        "instance_group": [],
        "default_model_filename": "",
        "cc_model_filenames": {},
        "metric_tags": {},
        "parameters": {},
        "model_warmup": [],
    }


def test_set_but_empty_message_is_present() -> None:
    """`dynamic_batching {}` chooses a scheduler, so it must be seen."""
    policy = inference.ModelVersionPolicy(all=inference.ModelVersionPolicy.All())

    assert as_json(policy) == {"all": {}}


def test_tensor_reads_as_triton_prints_it() -> None:
    """Field names are the proto's, enums go by name, dims are numbers."""
    tensor = inference.ModelInput(name="x", data_type=inference.TYPE_FP32, dims=[-1, 3])

    assert as_json(tensor) == {
        "name": "x",
        "data_type": "TYPE_FP32",
        "format": "FORMAT_NONE",
        "dims": [-1, 3],
        "is_shape_tensor": False,
        "allow_ragged_batch": False,
        "optional": False,
        "is_non_linear_format_io": False,
    }


def test_integers_of_64_bits_are_numbers() -> None:
    """perf_analyzer refuses statistics whose counters are strings."""
    durations = inference.InferStatistics(success=inference.StatisticDuration(ns=2**63), cache_hit=inference.StatisticDuration())
    statistics = inference.ModelStatistics(
        name="m",
        last_inference=2**64 - 1,
        inference_stats=durations,
        memory_usage=[inference.MemoryUsage(type="CPU", id=-(2**63))],
    )
    answer = inference.ModelStatisticsResponse(model_stats=[statistics])

    assert json.loads(json.dumps(as_json(answer))) == {
        "model_stats": [
            {
                "name": "m",
                "version": "",
                "last_inference": 2**64 - 1,
                "inference_count": 0,
                "execution_count": 0,
                "inference_stats": {"success": {"count": 0, "ns": 2**63}, "cache_hit": {"count": 0, "ns": 0}},
                "batch_stats": [],
                "memory_usage": [{"type": "CPU", "id": -(2**63), "byte_size": 0}],
                "response_stats": {},
            }
        ]
    }


def test_map_keys_are_strings_and_values_are_rendered() -> None:
    """A map from numbers to messages becomes an object of objects."""
    delaying = inference.ModelQueuePolicy(timeout_action=inference.ModelQueuePolicy.DELAY)
    batching = inference.ModelDynamicBatching(priority_queue_policy={3: delaying})

    assert as_json(batching)["priority_queue_policy"] == {
        "3": {
            "timeout_action": "DELAY",
            "default_timeout_microseconds": 0,
            "allow_timeout_override": False,
            "max_queue_size": 0,
        }
    }


def test_oneof_shows_only_the_member_that_is_set() -> None:
    """A set member shows even when it holds its default; the others are absent."""
    assert as_json(inference.InferParameter()) == {}
    assert as_json(inference.InferParameter(bool_param=False)) == {"bool_param": False}


def test_unknown_enum_number_stays_a_number() -> None:
    """A value from a newer peer is passed on."""
    assert as_json(inference.ModelOutput(data_type=99))["data_type"] == 99


def test_bytes_and_odd_floats_are_valid_json() -> None:
    """Bytes are base64; NaN and the infinities are strings as in protobuf's own JSON."""
    contents = inference.InferTensorContents(bytes_contents=[b"\xff\0"], fp64_contents=[math.inf, -math.inf, math.nan, 0.5])

    rendered = as_json(contents)

    assert rendered["bytes_contents"] == ["/wA="]
    assert rendered["fp64_contents"] == ["Infinity", "-Infinity", "NaN", 0.5]


SCALAR = inference.ModelTensorReshape(shape=[])
CONFIG = inference.ModelConfig(
    name="m",
    max_batch_size=8,
    input=[inference.ModelInput(name="x", data_type=inference.TYPE_STRING, dims=[2**40], reshape=SCALAR)],
    instance_group=[inference.ModelInstanceGroup(kind=inference.ModelInstanceGroup.KIND_CPU, count=2)],
    dynamic_batching=inference.ModelDynamicBatching(max_queue_delay_microseconds=100),
    parameters={"a": inference.ModelParameter(string_value="b")},
    model_warmup=[inference.ModelWarmup(inputs={"x": inference.ModelWarmup.Input(random_data=True)})],
)


@pytest.mark.parametrize("message", [inference.ModelConfig(), CONFIG], ids=["empty", "filled"])
def test_strict_reader_gets_the_same_message_back(message: inference.ModelConfig) -> None:
    """Model Analyzer parses this JSON strictly into the proto: no key of ours may be extra."""
    text = json.dumps(as_json(message))

    assert json_format.Parse(text, inference.ModelConfig(), descriptor_pool=inference.POOL) == message
