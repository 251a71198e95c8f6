"""What has been found so far, in a size that does not grow: counts, means, maxima, and quantiles by fixed bins."""

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from penstock.domain.tensor import Array, element_count
from penstock.traffic.bins import Bins
from penstock.traffic.class_scores import ClassAgreement
from penstock.traffic.findings import Kind, Misfit, OutputFindings

FAR: Final = 0.1
"""The Jensen-Shannon distance from which on two distributions count as different."""


class Measure(StrEnum):
    """By what answers are compared; a request differs by a measure if any row of any output does."""

    TOLERANCE = "tolerance"
    """Each element, by the tolerance; whole numbers, truths and texts have to be equal."""
    OUTPUTS = "outputs"
    """Which outputs there are."""
    SHAPE = "shape"
    DATATYPE = "datatype"
    NAN = "nan"
    """How many elements are no numbers."""
    ARGMAX = "argmax"
    """Which class has the highest score."""
    TOPK = "topk"
    """Which few classes have the highest scores."""
    DISTRIBUTION = "distribution"
    """How far apart rows are that are distributions."""


_MEASURE_OF: Final = {
    Kind.MISSING: Measure.OUTPUTS,
    Kind.EXTRA: Measure.OUTPUTS,
    Kind.SHAPE: Measure.SHAPE,
    Kind.DATATYPE: Measure.DATATYPE,
}
_ALWAYS: Final = (Measure.OUTPUTS, Measure.SHAPE, Measure.DATATYPE)


class OutputTally:
    """What has been found of one output."""

    def __init__(self) -> None:
        self.requests = 0
        self.elements = 0
        self.outside = 0
        self.total = 0.0
        """The sum of absolute differences."""
        self.largest: Final = Bins()
        """The largest absolute difference of each request."""
        self.relative: Final = Bins()
        """The largest relative difference of each request."""
        self.nan_primary = 0
        self.nan_shadow = 0
        self.misfits: Final[Counter[Kind]] = Counter()
        self.rows = 0
        """Rows of class scores."""
        self.flipped = 0
        self.overlap: Final = Bins()
        self.distance: Final = Bins()

    def add(self, found: OutputFindings) -> None:
        """Count what was found."""
        differences = found.differences
        self.requests += len(found.requests)
        self.elements += sum(map(element_count, found.shapes))
        self.outside += int(differences.outside.sum())
        self.total += float(differences.total.sum())
        self.largest.add(differences.largest)
        self.relative.add(differences.relative)
        self.nan_primary += int(differences.nan_primary.sum())
        self.nan_shadow += int(differences.nan_shadow.sum())
        if found.classes is not None:
            self._add_classes(found.classes)

    def _add_classes(self, agreement: ClassAgreement) -> None:
        self.rows += len(agreement.flipped)
        self.flipped += int(agreement.flipped.sum())
        self.overlap.add(_known(agreement.overlap))
        self.distance.add(_known(agreement.distance))


class Counts(NamedTuple):
    """Requests by measure."""

    compared: Counter[Measure]
    mismatched: Counter[Measure]
    scores: Sequence[float] = ()
    """Of each request that is new."""


class Tally:
    """What has been found between two versions, or between a version and itself. Any one thread at a time."""

    def __init__(self) -> None:
        self.requests = 0
        self.scores: Final = Bins()
        """The score of each request: its largest difference in parts of what is tolerated; infinite where forms differ."""
        self.outputs: Final[dict[str, OutputTally]] = {}
        self.counts: Final = Counts(Counter(), Counter())

    def add(self, requests: int, found: Sequence[OutputFindings], misfits: Sequence[Misfit]) -> Counts:
        """Count what `find` has found of so many requests; returns what is new in the counts."""
        self.requests += requests
        scores = _scores(requests, found, misfits)
        self.scores.add(scores)
        for finding in found:
            self._output(finding.output).add(finding)
        for misfit in misfits:
            self._output(misfit.output).misfits[misfit.kind] += 1
        counts = _counted(requests, found, misfits)
        self.counts.compared.update(counts.compared)
        self.counts.mismatched.update(counts.mismatched)
        return counts._replace(scores=scores.tolist())

    def _output(self, name: str) -> OutputTally:
        return self.outputs.setdefault(name, OutputTally())


def _counted(requests: int, found: Sequence[OutputFindings], misfits: Sequence[Misfit]) -> Counts:
    looked: dict[Measure, set[int]] = {measure: set(range(requests)) for measure in _ALWAYS}
    differ: dict[Measure, set[int]] = {}
    for misfit in misfits:
        differ.setdefault(_MEASURE_OF[misfit.kind], set()).add(misfit.request)
    for measure, seen, unlike in _verdicts(found):
        looked.setdefault(measure, set()).update(seen)
        differ.setdefault(measure, set()).update(unlike)
    return Counts(_sizes(looked), _sizes(differ))


def _sizes(requests: dict[Measure, set[int]]) -> Counter[Measure]:
    return Counter({measure: len(which) for measure, which in requests.items() if which})


def _scores(requests: int, found: Sequence[OutputFindings], misfits: Sequence[Misfit]) -> Array:
    scores = np.zeros(requests)
    for finding in found:
        np.maximum.at(scores, finding.requests, finding.differences.score)
    scores[[misfit.request for misfit in misfits]] = np.inf
    return scores


def _verdicts(found: Sequence[OutputFindings]) -> Iterator[tuple[Measure, list[int], list[int]]]:
    """Yield by measure which requests were looked at, and which of them differ."""
    for finding in found:
        requests, differences = finding.requests, finding.differences
        yield Measure.TOLERANCE, requests, _where(requests, differences.score > 1)
        yield Measure.NAN, requests, _where(requests, differences.nan_primary != differences.nan_shadow)
        if finding.classes is not None:
            flipped, overlap, distance = finding.classes
            yield Measure.ARGMAX, requests, _where(requests, finding.any_row(flipped))
            yield _some(Measure.TOPK, finding, overlap, overlap < 1)
            yield _some(Measure.DISTRIBUTION, finding, distance, distance > FAR)


def _some(measure: Measure, finding: OutputFindings, values: Array, unlike: Array) -> tuple[Measure, list[int], list[int]]:
    """Return the verdict of a measure that says nothing of rows in which its value is NaN."""
    requests = finding.requests
    return measure, _where(requests, finding.any_row(~np.isnan(values))), _where(requests, finding.any_row(unlike))


def _where(requests: Sequence[int], holds: Array) -> list[int]:
    return [requests[place] for place in np.flatnonzero(holds).tolist()]


def _known(values: Array) -> Array:
    return values[~np.isnan(values)]
