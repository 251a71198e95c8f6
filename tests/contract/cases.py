"""The form of a case: what is asked, over which transports, and what must come back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from transports import Answer, Document, Transport

A16: Final = list(range(16))
ONES: Final = [1] * 16
SUM: Final = [a + 1 for a in A16]
DIFFERENCE: Final = [a - 1 for a in A16]
BOTH: Final = ("http", "grpc")


@dataclass(frozen=True)
class Case:
    """One question with its answer."""

    id: str
    model: str
    question: Document
    family: str = "OK"
    text: tuple[str, ...] = ()
    """Parts that the error must hold."""
    outputs: Mapping[str, list[Any]] | None = None
    """The values of exactly these outputs, None if they do not matter."""
    shape: tuple[int, ...] | None = None
    """Of every output."""
    told: Mapping[str, str] = field(default_factory=dict)
    """Attributes of the answer, such as its version."""
    version: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    over: tuple[str, ...] = BOTH

    def check(self, transport: Transport) -> Answer:
        """Ask, and assert that what comes back is what must come back."""
        answer = transport.infer(self.model, self.question, self.version, self.headers)
        assert answer.family == self.family, answer.text
        for part in self.text:
            assert part in answer.text
        if self.outputs is not None:
            assert {name: output.values for name, output in answer.outputs.items()} == dict(self.outputs)
        if self.shape is not None:
            assert {tuple(output.shape) for output in answer.outputs.values()} == {self.shape}
        assert {key: getattr(answer, key) for key in self.told} == dict(self.told)
        return answer


def on_each(cases: Iterable[Case]) -> list[Any]:
    """Return each case once for each of its transports, as parameters `case` and `transport`, with ids like C15-grpc."""
    return [pytest.param(case, name, id=f"{case.id}-{name}") for case in cases for name in case.over]


def tensor(name: str, datatype: str, shape: list[Any], data: list[Any] | bytes, **more: Any) -> Document:
    """Return an input; bytes travel in binary form."""
    place = "raw" if isinstance(data, bytes) else "data"
    return {"name": name, "datatype": datatype, "shape": shape, place: data, **more}


def addsub(**changes: Any) -> Document:
    """Return a question to addsub, A16 and sixteen ones, with changes to INPUT0."""
    first = {**tensor("INPUT0", "INT32", [1, 16], A16), **changes}
    return {"inputs": [first, tensor("INPUT1", "INT32", [1, 16], ONES)]}


def one(datatype: str, shape: list[Any], data: list[Any] | bytes, **more: Any) -> Document:
    """Return a question of the one input X."""
    return {"inputs": [tensor("X", datatype, shape, data)], **more}
