"""JSON in front of raw tensors, read once: of the next request with the same text only the bytes behind it are looked at.

A client writes the same names, shapes and wishes before each of its tensors. What such a text means to a version is remembered, and so
is the text that goes before the answer's tensors.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Array, Datatype, Tensor
from penstock.wire.raw import Buffer, aligned, raw_of

_UNSIZED: Final = frozenset({"BYTES", "BOOL"})
"""Datatypes whose bytes have to be looked at one by one."""
_MOST_FORMS: Final = 1024
_MOST_TEXTS: Final = 16
_LONGEST_TEXT: Final = 2048
_SMALL: Final = 16 * 1024
"""Up to here a copy, which lies where ONNX Runtime likes it, costs less than to look where the bytes lie."""

_Shapes = tuple[tuple[int, ...], ...]


class _Part(NamedTuple):
    """Where an input lies behind the JSON."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    start: int
    stop: int


class BinaryForm:
    """What one text asks of one version: raw inputs, and outputs that are all raw."""

    def __init__(self, schema: ModelSchema, request: InferenceRequest) -> None:
        """Take the form of a request that has been read from the text as a whole."""
        self.schema: Final = schema
        self._outputs = request.outputs
        self._parts: list[_Part] = []
        self._size = 0
        for tensor in request.inputs:
            start, self._size = self._size, self._size + tensor.array.nbytes
            self._parts.append(_Part(tensor.name, tensor.datatype, tensor.array.shape, start, self._size))
        self._texts: dict[tuple[ModelVersion, _Shapes], bytes] = {}

    def read(self, body: Buffer, json_bytes: int, request: InferenceRequest) -> bool:
        """Fill the request from the bytes behind the JSON; False, and nothing is done, if they are not as many as there should be."""
        if len(body) - json_bytes != self._size:
            return False
        request.inputs = [Tensor(part.name, part.datatype, _array(part, body, json_bytes)) for part in self._parts]
        request.outputs = self._outputs
        return True

    def text_for(self, response: InferenceResponse) -> bytes | None:
        """Return the JSON in front of the answer's tensors; None if no answer of these shapes was written yet."""
        return self._texts.get(_key(response))

    def remember(self, response: InferenceResponse, text: bytes) -> None:
        """Keep the JSON in front of an answer's tensors."""
        if len(self._texts) < _MOST_TEXTS:
            self._texts[_key(response)] = text


class BinaryForms:
    """The forms that were met, by their texts and by the schemas that they were read for, which they keep; bounded."""

    def __init__(self) -> None:
        self._forms: dict[tuple[bytes, int], BinaryForm] = {}

    def find(self, text: bytes, schema: ModelSchema) -> BinaryForm | None:
        """Return what the text means to a version with that schema, if that is remembered."""
        form = self._forms.get((text, id(schema)))
        return form if form is not None and form.schema is schema else None

    def remember(self, text: bytes, schema: ModelSchema, request: InferenceRequest) -> BinaryForm | None:
        """Return and keep the form of a request that was read from the text; None for one with inputs that have no fixed size."""
        if len(text) > _LONGEST_TEXT or any(tensor.datatype.wire in _UNSIZED for tensor in request.inputs):
            return None
        if len(self._forms) >= _MOST_FORMS:
            self._forms.clear()
        form = self._forms[text, id(schema)] = BinaryForm(schema, request)
        return form


def raw_parts(text: bytes, outputs: Sequence[Tensor]) -> list[Buffer]:
    """Return the body of an answer whose outputs are all raw."""
    return [text, *[raw_of(tensor) for tensor in outputs]]


def _array(part: _Part, body: Buffer, json_bytes: int) -> Array:
    data = body[json_bytes + part.start : json_bytes + part.stop]
    if part.stop - part.start > _SMALL:
        return aligned(np.ndarray(part.shape, part.datatype.dtype, data))
    return np.ndarray(part.shape, part.datatype.dtype, bytes(data))


def _key(response: InferenceResponse) -> tuple[ModelVersion, _Shapes]:
    return response.version, tuple([tensor.array.shape for tensor in response.outputs])
