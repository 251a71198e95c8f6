"""Whose prediction it was, as a keyed hash: found again by whoever has the key and the name, and by nobody else."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from penstock.domain.request import InferenceRequest
from penstock.domain.tensor import Tensor, TensorSpec
from penstock.payloads.columns import named
from penstock.payloads.options import SubjectOptions
from penstock.payloads.redaction import digest_of

_MOST: Final = 4096
"""Subjects of one request: each takes a microsecond of the event loop."""


class TooManySubjects(Exception):
    """A request names more subjects than are hashed on the event loop."""


class SubjectKey:
    """Finds the subjects of requests. Lives on the event loop."""

    def __init__(self, subject: SubjectOptions, key: bytes) -> None:
        self.header: Final = subject.header.lower()
        self.input: Final = subject.input
        self._key = key

    def of(self, request: InferenceRequest, known: Mapping[str, TensorSpec]) -> str:
        """Return the hashes of a request's subjects, a space between them; "" where it names none.

        `known` are the model's inputs. Raises `TooManySubjects`.
        """
        if self.header:
            value = (request.headers or {}).get(self.header, "")
            return digest_of(_bytes_of_header(value), self._key) if value else ""
        return " ".join(digest_of(text.encode("utf-8", "surrogatepass"), self._key) for text in self._texts(request.inputs, known))

    def _texts(self, inputs: Sequence[Tensor], known: Mapping[str, TensorSpec]) -> list[str]:
        texts: dict[str, None] = {}
        for tensor, array in named(self.input, inputs, known):
            if array.size > _MOST:
                raise TooManySubjects(tensor.name)
            texts.update(dict.fromkeys(map(_text, array.reshape(-1))))
        return list(texts)


def subject_hashes(value: str, keys: Sequence[bytes]) -> set[str]:
    """Return the hashes that a subject has in rows, by any of the keys that there were."""
    return {digest_of(value.encode("utf-8", "surrogatepass"), key) for key in keys}


def _bytes_of_header(value: str) -> bytes:
    """Return the bytes as they came: HTTP's are decoded as Latin-1."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


def _text(item: object) -> str:
    """Return an element as people write it: a whole number without a fraction, whatever its datatype."""
    if isinstance(item, bytes):
        return item.decode("utf-8", "surrogateescape")
    if not isinstance(item, np.generic):
        return str(item)
    value = item.item()
    return str(int(value)) if isinstance(value, int | float) and float(value).is_integer() else str(value)
