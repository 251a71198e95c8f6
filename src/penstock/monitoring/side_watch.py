"""The inputs of one version, or its outputs: held against one reference, the stable arm's and the canary's apart."""

from collections.abc import Callable, Mapping
from typing import Final

from penstock.domain.clock import Clock, monotonic
from penstock.monitoring.columns import Block, Columns
from penstock.monitoring.drift_watch import Crossing, DriftWatch
from penstock.monitoring.options import MonitoringOptions
from penstock.monitoring.reference import Reference
from penstock.monitoring.sample import Sample


class SideWatch:
    """Gathers a reference where there is none and one is wanted; then judges. For one thread, but for reading."""

    def __init__(
        self,
        columns: Columns,
        options: MonitoringOptions,
        *,
        published: Reference | None = None,
        kept: Reference | None = None,
        frozen: Callable[[], None] = lambda: None,
        clock: Clock = monotonic,
    ) -> None:
        """Begin with the reference that the version was published with, or else the one that an earlier process gathered and kept.

        `frozen` hears that a reference was gathered.
        """
        self.columns: Final = columns
        self.reference = None if options.drift == "off" else columns.fitting(published)
        self.is_published: Final = self.reference is not None
        """Whether the reference came with the version."""
        if options.drift == "live":
            self.reference = self.reference or columns.fitting(kept)
        self.arms: Mapping[str, DriftWatch] = {}
        """By branch, `stable` or `canary`; never changed but replaced, as others may be reading it."""
        wants = self.reference is None and options.drift == "live" and bool(columns.names)
        self.sample = Sample(columns, options.reference_rows) if wants else None
        """What is gathered; None if nothing is, or not any more."""
        self._options: Final = options
        self._frozen: Final = frozen
        self._clock: Final = clock

    @property
    def is_on(self) -> bool:
        """Whether rows are wanted."""
        return self.reference is not None or self.sample is not None

    @property
    def unknown(self) -> list[str]:
        """The features that would be watched if the reference said anything of them: its sample held no value of theirs, or had none."""
        if self.sample is not None or (self.reference is None and self._options.drift != "live"):
            return []
        known = set() if self.reference is None else {feature.name for feature in self.reference.features}
        return [name for name in self.columns.names if name not in known]

    @property
    def gathered(self) -> Reference | None:
        """The reference, unless it came with the version."""
        return None if self.is_published else self.reference

    def add(self, arm: str, block: Block) -> list[Crossing]:
        """Count rows; returns what the windows that they filled have shown."""
        if self.sample is not None:
            self._gather(self.sample, block)
            return []
        if self.reference is None:
            return []
        if arm not in self.arms:
            self.arms = {**self.arms, arm: self._watch(self.reference)}
        return self.arms[arm].add(self.columns.numbers(block, self.reference))

    def tick(self) -> list[tuple[str, list[Crossing]]]:
        """Judge the windows whose time is over; returns what they have shown, by arm."""
        return [(arm, watch.tick()) for arm, watch in self.arms.items()]

    def _gather(self, sample: Sample, block: Block) -> None:
        self.reference = sample.add(block)
        if sample.is_full:
            self.sample = None
        if self.reference is not None:
            self._frozen()

    def _watch(self, reference: Reference) -> DriftWatch:
        options = self._options
        return DriftWatch(reference, options.limits, window_rows=options.window_rows, window_s=options.window_s, clock=self._clock)
