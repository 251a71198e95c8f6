"""The worst differences, kept to be looked at: a few of each kind."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from penstock.domain.tensor import DATATYPES, Array, Tensor
from penstock.traffic.differences import is_inexact, numbers
from penstock.traffic.findings import Answers, Kind, Misfit, OutputFindings

_SHOWN_ELEMENTS: Final = 64


class Example(NamedTuple):
    """One output of one request in which two versions differ."""

    request_id: str
    output: str
    kind: Kind
    primary: str
    """Datatype and shape."""
    shadow: str
    score: float
    """The difference in parts of what is tolerated; infinite where no number says how far."""
    element: tuple[int, ...] = ()
    """Where the element is that differs most."""
    difference: float = 0.0
    """The largest absolute difference of two numbers."""
    outside: int = 0
    """How many elements differ."""
    values: Mapping[str, object] | None = None
    """What stands there in both answers, and the inputs, cut short; None unless values may be kept."""


class Examples:
    """Keeps the worst of each kind, the earlier among equals. Any one thread at a time."""

    def __init__(self, most: int, *, values: bool) -> None:
        """`most` are kept of each kind, with `values` only if those may be shown."""
        self._most = most
        self._values = values
        self._kept: dict[Kind, list[Example]] = {}

    def __iter__(self) -> Iterator[Example]:
        for kind in Kind:
            yield from self._kept.get(kind, ())

    def add(
        self,
        pairs: Sequence[Answers],
        found: Sequence[OutputFindings],
        misfits: Sequence[Misfit],
        inputs: Sequence[Sequence[Tensor]],
    ) -> None:
        """Keep what is worse than the least of those that are kept; `inputs` are those of the requests."""
        for misfit in misfits:
            if self._takes(misfit.kind, np.inf):
                self._keep(_unfit(pairs[misfit.request].request_id, misfit))
        for finding in found:
            for place in np.flatnonzero(finding.differences.score > 1):
                kind, request = _kind(finding, int(place)), finding.requests[place]
                if self._takes(kind, float(finding.differences.score[place])):
                    self._keep(self._example(pairs[request], finding, int(place), inputs[request]))

    def _takes(self, kind: Kind, score: float) -> bool:
        kept = self._kept.get(kind, [])
        return len(kept) < self._most or (bool(kept) and score > kept[-1].score)

    def _keep(self, example: Example) -> None:
        kept = self._kept.setdefault(example.kind, [])
        kept.append(example)
        kept.sort(key=lambda one: -one.score)
        del kept[self._most :]

    def _example(self, pair: Answers, finding: OutputFindings, place: int, inputs: Sequence[Tensor]) -> Example:
        form = f"{finding.datatype.wire}{list(finding.shapes[place])}"
        worst = int(finding.differences.worst[place])
        return Example(
            pair.request_id,
            finding.output,
            _kind(finding, place),
            form,
            form,
            float(finding.differences.score[place]),
            _place(worst, finding.shapes[place]),
            float(finding.differences.largest[place]),
            int(finding.differences.outside[place]),
            _values(pair, finding.output, worst, inputs) if self._values else None,
        )


def _place(element: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(index[0]) for index in np.unravel_index(np.array([element]), shape)) if shape else ()


def _unfit(request_id: str, misfit: Misfit) -> Example:
    return Example(request_id, misfit.output, misfit.kind, misfit.primary, misfit.shadow, np.inf)


def _kind(finding: OutputFindings, place: int) -> Kind:
    if not is_inexact(finding.datatype):
        return Kind.EXACT
    return Kind.NAN if np.isinf(finding.differences.score[place]) else Kind.VALUE


def _values(pair: Answers, output: str, place: int, inputs: Sequence[Tensor]) -> dict[str, object]:
    return {
        "primary": _shown(pair.primary[output], place, place + 1)[0],
        "shadow": _shown(pair.shadow[output], place, place + 1)[0],
        "inputs": {tensor.name: _shown(tensor, 0, _SHOWN_ELEMENTS) for tensor in inputs},
    }


def _shown(tensor: Tensor, start: int, end: int) -> list[object]:
    part: Array = tensor.array.reshape(-1)[start:end]
    shown: list[object] = (numbers(part, tensor.datatype) if tensor.datatype is DATATYPES["BF16"] else part).tolist()
    return shown
