"""Request parameters and call options."""

from collections.abc import Mapping

import pytest

from penstock.domain.clock import NS_PER_MS, NS_PER_US
from penstock.domain.errors import InvalidInput, Unimplemented
from penstock.domain.request import CRITICAL, NORMAL, SHEDDABLE, InferenceRequest
from penstock.wire.parameters import (
    Value,
    apply_call_options,
    apply_parameters,
    classes_asked,
    refuse_shared_memory,
    sooner,
)

ARRIVED_NS = 1_000_000


@pytest.fixture
def request_() -> InferenceRequest:
    """Return a request without anything said about it."""
    return InferenceRequest("http", "m", "", [], arrived_ns=ARRIVED_NS)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"mine": "x", "other": 1.5, "flag": True},
        {"sequence_id": 0, "sequence_start": False},
        {"sequence_id": ""},
        {"triton_enable_empty_final_response": True},
        {"binary_data_output": True},
    ],
    ids=str,
)
def test_harmless_parameters_change_nothing(request_: InferenceRequest, parameters: dict[str, Value]) -> None:
    """Unknown names and switched-off features are accepted."""
    apply_parameters(parameters, request_)

    assert (request_.deadline_ns, request_.priority) == (None, NORMAL)


def test_timeout_is_microseconds_from_arrival(request_: InferenceRequest) -> None:
    """The deadline counts from the arrival, not from the check."""
    apply_parameters({"timeout": 5}, request_)

    assert request_.deadline_ns == ARRIVED_NS + 5 * NS_PER_US


@pytest.mark.parametrize(("said", "heeded"), [(0, NORMAL), (1, CRITICAL), (2, NORMAL), (3, SHEDDABLE), (4, NORMAL), (2**63, NORMAL)])
def test_priority_has_three_levels(request_: InferenceRequest, said: int, heeded: int) -> None:
    """1 is the highest; 0 and what is above our levels mean the default."""
    apply_parameters({"priority": said}, request_)

    assert request_.priority == heeded


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"triton_x": 1}, InvalidInput, "reserved"),
        ({"headers": "x"}, InvalidInput, "reserved"),
        ({"sequence_start": 1}, InvalidInput, "expected a boolean"),
        ({"binary_data_output": "true"}, InvalidInput, "expected a boolean"),
        ({"sequence_id": 7}, Unimplemented, "sequence"),
        ({"sequence_id": "a"}, Unimplemented, "sequence"),
        ({"sequence_id": True}, InvalidInput, "sequence_id"),
        ({"sequence_id": 1.5}, InvalidInput, "sequence_id"),
        ({"timeout": 0}, InvalidInput, "'timeout'"),
        ({"timeout": -1}, InvalidInput, "'timeout'"),
        ({"timeout": True}, InvalidInput, "'timeout'"),
        ({"timeout": "5"}, InvalidInput, "'timeout'"),
        ({"timeout": 300_000_001}, InvalidInput, "300000000 microseconds"),
        ({"priority": -1}, InvalidInput, "'priority'"),
        ({"priority": 1.0}, InvalidInput, "'priority'"),
        ({"mine": None}, InvalidInput, "must be a string, a number or a boolean"),
        ({"mine": []}, InvalidInput, "must be a string, a number or a boolean"),
    ],
    ids=str,
)
def test_senseless_parameters_are_refused(
    request_: InferenceRequest, parameters: dict[str, Value], error: type[Exception], words: str
) -> None:
    """Reserved names, wrong types and values out of range are named."""
    with pytest.raises(error, match=words):
        apply_parameters(parameters, request_)


def test_call_options_are_taken(request_: InferenceRequest) -> None:
    """Remaining time, priority, route and trace context come from headers or metadata."""
    apply_call_options(
        {
            "penstock-deadline-ms": "250",
            "penstock-priority": "sheddable",
            "penstock-route": "b",
            "traceparent": "malformed",
            "other": "x",
        },
        request_,
    )

    assert request_.deadline_ns == ARRIVED_NS + 250 * NS_PER_MS
    assert (request_.priority, request_.route, request_.traceparent) == (SHEDDABLE, "b", "malformed")


def test_earlier_of_all_deadlines_counts(request_: InferenceRequest) -> None:
    """Header and parameter may both set one."""
    apply_call_options({"penstock-deadline-ms": "1"}, request_)
    apply_parameters({"timeout": 2000}, request_)
    apply_parameters({"timeout": 10}, request_)

    assert request_.deadline_ns == ARRIVED_NS + 10 * NS_PER_US
    assert sooner(None, 4) == 4


@pytest.mark.parametrize(
    "options",
    [{"penstock-deadline-ms": text} for text in ("-1", "1.5", "x", "1e3", "٣", "1" * 10, " 1")]
    + [{"penstock-priority": text} for text in ("High", "CRITICAL", "1")],
    ids=str,
)
def test_senseless_call_options_are_refused(request_: InferenceRequest, options: Mapping[str, str]) -> None:
    """The refusal names the header."""
    with pytest.raises(InvalidInput, match="penstock-"):
        apply_call_options(options, request_)


@pytest.mark.parametrize("key", ["shared_memory_region", "shared_memory_offset", "shared_memory_byte_size"])
def test_shared_memory_is_refused(key: str) -> None:
    """No server of ours opens memory that a caller names."""
    with pytest.raises(InvalidInput, match="shared memory"):
        refuse_shared_memory({key: "x"}, "X")


def test_tensor_without_shared_memory_passes() -> None:
    """Other parameters are none of its business."""
    refuse_shared_memory({"binary_data_size": 3}, "X")


@pytest.mark.parametrize(("parameters", "k"), [({}, 0), ({"classification": 1}, 1), ({"classification": 9}, 9)], ids=str)
def test_classes_are_asked_by_number(parameters: dict[str, object], k: int) -> None:
    """Without the parameter none are asked."""
    assert classes_asked(parameters, "Y") == k


@pytest.mark.parametrize("k", [0, -1, True, "3", 1.0, None], ids=repr)
def test_senseless_number_of_classes_is_refused(k: object) -> None:
    """The refusal names the output."""
    with pytest.raises(InvalidInput, match="classification of output 'Y'"):
        classes_asked({"classification": k}, "Y")
