"""Two versions of a model compared: what a shadow answers, beside what the primary answered, beyond what the primary itself varies by."""

import threading
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from penstock.domain.clock import NS_PER_S
from penstock.domain.model import ModelVersion
from penstock.domain.tensor import Tensor
from penstock.traffic.bins import Bins
from penstock.traffic.differences import Tolerance
from penstock.traffic.examples import Examples
from penstock.traffic.findings import Answers, find
from penstock.traffic.interval import Interval, difference, wilson
from penstock.traffic.tally import Counts, Tally

_FEW: Final = 100
"""Requests below which no verdict is given."""


class Verdict(StrEnum):
    """What a comparison says."""

    AGREES = "agrees"
    """No request differs beyond the noise floor."""
    DISAGREES = "disagrees"
    """Requests differ, and the primary does not differ from itself in that way."""
    NOISY = "noisy"
    """Requests differ, but no more of them than the primary differs from itself in."""
    INCONCLUSIVE = "inconclusive"
    """Too few requests were compared."""


class Observed(NamedTuple):
    """One request in a shadow's turn."""

    answers: Answers
    inputs: Sequence[Tensor]
    primary_ns: int
    """What the run took that answered the caller."""
    shadow_ns: int
    """What the run took that nobody waited for."""
    queue_ns: int
    """How long it waited for that run."""


class Latency:
    """Run times of requests, in seconds, each charged the full time of its run."""

    def __init__(self) -> None:
        self.primary: Final = Bins()
        self.shadow: Final = Bins()
        self.queue: Final = Bins()

    def add(self, observed: Sequence[Observed]) -> None:
        """Count the requests of a turn."""
        self.primary.add(np.array([each.primary_ns for each in observed]) / NS_PER_S)
        self.shadow.add(np.array([each.shadow_ns for each in observed]) / NS_PER_S)
        self.queue.add(np.array([each.queue_ns for each in observed]) / NS_PER_S)


class Side:
    """What is found beside one primary, of a shadow or of the primary itself. A turn's thread adds, whoever likes reads, under the lock."""

    def __init__(self, tolerance: Tolerance, examples: Examples | None = None, noise: "Side | None" = None) -> None:
        """`noise` is the primary beside itself."""
        self.lock: Final = threading.Lock()
        """Held for microseconds: numpy has compared before it is taken."""
        self.tally: Final = Tally()
        self.latency: Final = Latency()
        self.examples: Final = examples
        self._noise = noise
        self._tolerance = tolerance

    @property
    def floor(self) -> float:
        """The largest difference of the primary from itself that a number tells, in parts of what is tolerated; 1 at least."""
        return max(1.0, self._noise.tally.scores.largest if self._noise is not None else 0.0)

    def add(self, observed: Sequence[Observed]) -> Counts:
        """Compare the requests of a turn; returns what is new in the counts."""
        pairs = [each.answers for each in observed]
        found, misfits = find(pairs, self._tolerance)
        with self.lock:
            self.latency.add(observed)
            if self.examples is not None:
                self.examples.add(pairs, found, misfits, [each.inputs for each in observed])
            return self.tally.add(len(pairs), found, misfits)


class Comparison:
    """All that is known of a shadow beside one primary, and of that primary beside itself."""

    def __init__(self, primary: ModelVersion, shadow: ModelVersion, beside: Side, noise: Side) -> None:
        self.primary: Final = primary
        self.shadow: Final = shadow
        self.beside: Final = beside
        self.noise: Final = noise
        """Of the primary beside itself; shared by all that is compared with it."""
        self.used = 0
        """A number that is higher, the later it was last added to."""

    @property
    def floor(self) -> float:
        """The largest difference of the primary from itself that a number tells, in parts of what is tolerated; 1 at least."""
        return max(1.0, self.noise.tally.scores.largest)

    @property
    def disagreements(self) -> int:
        """Requests in which the shadow differs by more than is tolerated and by more than the primary ever differed from itself."""
        return self.beside.tally.scores.above(self.floor)

    @property
    def noisy(self) -> int:
        """Requests in which the primary differs from itself by more than the floor: in labels, in forms, in what is no number."""
        return self.noise.tally.scores.above(self.floor)

    @property
    def rate(self) -> Interval:
        """The share of requests with a disagreement, with 95 % confidence."""
        return wilson(self.disagreements, self.beside.tally.requests)

    @property
    def beyond_noise(self) -> Interval:
        """How much larger that share is than the primary's own, with 95 % confidence."""
        return difference((self.disagreements, self.beside.tally.requests), (self.noisy, self.noise.tally.requests))

    @property
    def verdict(self) -> Verdict:
        """What to think of it: one disagreement is one too many, unless the primary itself is not always of one opinion."""
        if not self.disagreements:
            return Verdict.AGREES if self.beside.tally.requests >= _FEW else Verdict.INCONCLUSIVE
        if not self.noisy or self.beyond_noise.low > 0:
            return Verdict.DISAGREES
        return Verdict.NOISY if self.beside.tally.requests >= _FEW else Verdict.INCONCLUSIVE
