"""JSON in and out, as exact as tensors need it.

orjson knows neither NaN nor infinities: on the way in it refuses them, on the way out it writes null. Both cases take a slower
way here, with the bare tokens that Triton and Python's own json use.
"""

import json
import math
from typing import Any, Final

import msgspec
import numpy as np
import orjson

from penstock.domain.errors import InvalidInput
from penstock.domain.tensor import Array
from penstock.http.json_weight import check_weight

MAX_DEPTH: Final = 64
_LONG_TEXT: Final = 16 * 1024
_OBJECTS: Final = np.dtype(object)
_N: Final = ord("n")
"""A letter as a number: to look for that takes a twentieth of the time."""
_TOKENS: Final = (b"NaN", b"Infinity")


def parse(text: bytes | bytearray | memoryview) -> dict[str, Any]:
    """Return the JSON object that the text holds.

    Raises `InvalidInput` for anything that is no JSON object, or is nested deeper than 64 levels. Floats may be NaN or infinite
    only where the text says so with a bare token.
    """
    text = bytes(text)
    return checked(read(text), text)


def read(text: bytes | bytearray) -> Any:  # noqa: ANN401 - what JSON may hold
    """Return what the text holds, unchecked but for NaN and infinities; raises `InvalidInput` for what is no JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return _reread(text, error)


def read_sparingly(text: bytes | bytearray) -> Any:  # noqa: ANN401
    """Return the same in as little memory as may be: orjson sets twelve bytes aside for each one of a text, whatever it holds."""
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        return _reread(text, error)


def read_weighed(text: bytes | bytearray, room: int) -> Any:  # noqa: ANN401
    """Return the same, or raise `TooLarge` for a text that might take more bytes than there is room once it is read."""
    check_weight(text, room)
    return read_sparingly(text)


def numbers(text: bytes, at: int) -> Any:  # noqa: ANN401 - lists in lists
    """Return a list of values of tensors, NaN and infinities among them; `at` is where the body has it, for the error."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if any(token in text for token in _TOKENS):
            return _tolerant(text)
        raise InvalidInput(f"the body is not valid JSON: {error.msg} in the list of values behind byte {at}") from error


def checked(document: Any, text: bytes | bytearray) -> dict[str, Any]:  # noqa: ANN401
    """Return what was read from the text if it is an object of sane depth, or raise `InvalidInput`."""
    check_nesting(document, text)
    if type(document) is not dict:
        raise InvalidInput(f"the body is a JSON {kind_of(document)}; send a JSON object")
    return document


def check_nesting(document: object, text: bytes | bytearray) -> None:
    """Raise `InvalidInput` for what was read from the text if it is nested deeper than 64 levels."""
    if _brackets(text) >= MAX_DEPTH:  # of one kind no more than that many are counted
        _check_depth(document)


def _brackets(text: bytes | bytearray) -> int:
    """Return how many opening brackets a text holds, which it is not nested deeper than; of each kind no more than 64 are counted."""
    if len(text) > _LONG_TEXT:
        return _found(text, b"[") + _found(text, b"{")
    return len(text.split(b"[", MAX_DEPTH)) + len(text.split(b"{", MAX_DEPTH)) - 2  # three times faster than `count`


def _found(text: bytes | bytearray, bracket: bytes) -> int:
    """Return how often a bracket is found, up to 64 times: a tensor's text has few, and the C library skips what lies between."""
    found, at = 0, text.find(bracket)
    while at >= 0 and found < MAX_DEPTH:
        found, at = found + 1, text.find(bracket, at + 1)
    return found


def _reread(text: bytes | bytearray, error: Exception) -> object:
    """Read a text again that may hold NaN and infinities."""
    if not text:
        raise InvalidInput("the body is empty; send a JSON object with a list 'inputs'")
    if not any(token in text for token in _TOKENS):
        raise InvalidInput(f"the body is not valid JSON: {error}") from error
    document = _tolerant(text)
    _check_tokens(document)
    return document


def _tolerant(text: bytes | bytearray) -> object:
    try:
        return json.loads(text.decode(), parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the body is not valid JSON: {error}") from error


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:32]} is out of range")
    return value


def _check_depth(document: object) -> None:
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _children(outer) if isinstance(inner, (list, dict))]
        if not level:
            return
    raise InvalidInput(f"the JSON nesting depth exceeds the maximum of {MAX_DEPTH}")


def _check_tokens(value: object) -> None:
    """Refuse NaN and infinities outside tensor values: V2's `data`, V1's `instances` and `inputs`."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput("NaN and Infinity are no JSON; they may stand among the values of a tensor only")
    if isinstance(value, list):
        for item in value:
            _check_tokens(item)
    if isinstance(value, dict):
        for key, item in value.items():
            if not _holds_values(key, item):
                _check_tokens(item)


def _holds_values(key: str, value: object) -> bool:
    if key == "inputs":
        # A list of tensors is V2's; anything else holds V1's values.
        return not (isinstance(value, list) and all(isinstance(item, dict) for item in value))
    return key in {"data", "instances"}


def _children(outer: object) -> Any:  # noqa: ANN401 - what JSON may hold
    return outer.values() if isinstance(outer, dict) else outer


def kind_of(value: object) -> str:
    """Return what JSON calls a value."""
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), "value")


def json_of(array: Array, *, nested: bool = False) -> bytes:
    """Return the array as a JSON list, flat and row-major or nested like its shape; NaN and infinities become bare tokens."""
    if nested and not array.ndim:
        return json_of(array)[1:-1]
    shaped = np.ascontiguousarray(array) if nested else array.ravel()
    if shaped.dtype is _OBJECTS:
        return orjson.dumps(shaped.tolist())
    text = orjson.dumps(shaped, None, orjson.OPT_SERIALIZE_NUMPY)
    # orjson writes null for what JSON has no number for, and for nothing else in an array of numbers.
    return _with_tokens(shaped) if _N in text else text


def _with_tokens(array: Array) -> bytes:
    """Write an array that has no JSON form: FP32 in its own shortest digits, like orjson does."""
    return json.dumps(_plain(array), separators=(",", ":")).encode()


def _plain(array: Array) -> Any:  # noqa: ANN401
    return [_plain(row) for row in array] if array.ndim > 1 else [float(str(value)) for value in array]
