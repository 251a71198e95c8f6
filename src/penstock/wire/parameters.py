"""Request parameters, the same over HTTP and gRPC (Triton's parameters, sequence and schedule-policy extensions)."""

from collections.abc import Mapping
from typing import Final

from penstock.domain.clock import NS_PER_MS, NS_PER_US
from penstock.domain.errors import InvalidInput, Unimplemented
from penstock.domain.names import shown
from penstock.domain.request import CRITICAL, NORMAL, SHEDDABLE, InferenceRequest

Value = str | int | float | bool

CALL_OPTIONS: Final = ("penstock-deadline-ms", "penstock-priority", "penstock-route", "traceparent")
"""What headers or metadata may say of a prediction."""
_PRIORITIES: Final = {"critical": CRITICAL, "normal": NORMAL, "sheddable": SHEDDABLE}
_FLAGS: Final = ("sequence_start", "sequence_end", "binary_data_output", "triton_enable_empty_final_response")
_LONGEST_US: Final = 300_000_000
_SHARED_MEMORY: Final = ("shared_memory_region", "shared_memory_offset", "shared_memory_byte_size")


def apply_parameters(parameters: Mapping[str, Value], request: InferenceRequest) -> None:
    """Check the parameters of a request and take from them what Penstock heeds: `timeout` (microseconds) and `priority`.

    Raises `InvalidInput` for reserved names and wrong types, `Unimplemented` for sequences.
    """
    for key, value in parameters.items():
        _check(key, value)
    if "timeout" in parameters:
        request.deadline_ns = sooner(request.deadline_ns, request.arrived_ns + _timeout_us(parameters["timeout"]) * NS_PER_US)
    if "priority" in parameters:
        request.priority = _priority(parameters["priority"], request.priority)


def apply_call_options(options: Mapping[str, str], request: InferenceRequest) -> None:
    """Take what headers or metadata say: see `CALL_OPTIONS`.

    Names are lower-case. Raises `InvalidInput` for values that make no sense; a malformed traceparent is ignored, as its
    specification asks (W3C Trace Context, section 3.2).
    """
    if text := options.get("penstock-deadline-ms"):
        request.deadline_ns = sooner(request.deadline_ns, request.arrived_ns + _milliseconds(text) * NS_PER_MS)
    if text := options.get("penstock-priority"):
        if text not in _PRIORITIES:
            raise InvalidInput(f"penstock-priority is {shown(text)}; use critical, normal or sheddable")
        request.priority = _PRIORITIES[text]
    request.route = options.get("penstock-route", "")
    request.traceparent = options.get("traceparent", "")


def refuse_shared_memory(parameters: Mapping[str, object], tensor: str) -> None:
    """Raise `InvalidInput` for a tensor that is said to lie in shared memory, which Penstock never opens for callers."""
    if any(key in parameters for key in _SHARED_MEMORY):
        raise InvalidInput(f"the tensor {shown(tensor)} asks for shared memory, which is not supported; send its data")


def classes_asked(parameters: Mapping[str, object], output: str) -> int:
    """Return the k of the classification extension for an output, 0 if it is not asked for."""
    k = parameters.get("classification", 0)
    if type(k) is not int or k < 0 or ("classification" in parameters and k == 0):
        raise InvalidInput(f"classification of output {shown(output)} is {shown(repr(k))}; use an integer of 1 or more")
    return k


def sooner(one_ns: int | None, other_ns: int) -> int:
    """Return the earlier of two deadlines, of which the first may be missing."""
    return other_ns if one_ns is None else min(one_ns, other_ns)


def _check(key: str, value: object) -> None:
    if key.startswith("triton_") and key not in _FLAGS:
        raise InvalidInput(f"the parameter {shown(key)} is not allowed: names that start with 'triton_' are reserved")
    if key in _FLAGS and type(value) is not bool:
        raise InvalidInput(f"invalid value type for the parameter {shown(key)}: expected a boolean, got {shown(repr(value))}")
    if key == "headers":
        raise InvalidInput("the parameter 'headers' is reserved")
    if key == "sequence_id":
        _check_sequence(value)
    if not isinstance(value, (str, int, float)):
        raise InvalidInput(f"the parameter {shown(key)} must be a string, a number or a boolean, not {shown(repr(value))}")


def _check_sequence(value: object) -> None:
    if type(value) not in (int, str):
        raise InvalidInput(f"invalid value type for the parameter 'sequence_id': {shown(repr(value))}")
    if value not in (0, ""):
        raise Unimplemented("sequence batching is not offered; send the request without sequence_id")


def _timeout_us(value: object) -> int:
    if type(value) is not int or not 0 < value <= _LONGEST_US:
        raise InvalidInput(f"invalid value for the parameter 'timeout': {shown(repr(value))}; use 1 to {_LONGEST_US} microseconds")
    return value


def _priority(value: object, otherwise: int) -> int:
    """Map the protocol's priority: 1 is highest; 0 and what is above our levels mean the default."""
    if type(value) is not int or value < 0:
        raise InvalidInput(f"invalid value for the parameter 'priority': {shown(repr(value))}; use an integer of 0 or more")
    return {1: CRITICAL, 2: NORMAL, 3: SHEDDABLE}.get(value, otherwise)


def _milliseconds(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:  # noqa: PLR2004 - eleven days are enough
        raise InvalidInput(f"penstock-deadline-ms is {shown(text)}; use the remaining time as a whole number of milliseconds")
    return int(text)
