"""What an arm has done since the last look, from the counters of its version."""

from collections import Counter
from typing import Final

from penstock.telemetry.statistics import SPREAD_EDGES_NS, VersionStatistics
from penstock.traffic.span import GATE_OF_STATUS, ArmSpan

_NOTHING: Final = ArmSpan(0, {}, (0,) * (len(SPREAD_EDGES_NS) + 1))


class ArmCounts:
    """Takes differences of counters that only grow. Lives on the event loop."""

    def __init__(self, arm: str) -> None:
        self.arm: Final = arm
        self._statistics: VersionStatistics | None = None
        self._before = _NOTHING

    def begin(self, statistics: VersionStatistics) -> None:
        """Leave out what has been counted so far."""
        self._statistics, self._before = statistics, self._read(statistics)

    def span(self, statistics: VersionStatistics) -> ArmSpan:
        """Return what has ended since the last look; files that were loaded anew count from zero."""
        if statistics is not self._statistics:
            self._statistics, self._before = statistics, _NOTHING
        before, now = self._before, self._read(statistics)
        self._before = now
        return ArmSpan(
            now.ends - before.ends,
            {gate: count - before.bad.get(gate, 0) for gate, count in now.bad.items()},
            tuple(new - old for new, old in zip(now.times, before.times, strict=True)),
        )

    def _read(self, statistics: VersionStatistics) -> ArmSpan:
        statistics.count()
        bad: Counter[str] = Counter()
        ends = 0
        for (arm, _, status), count in statistics.requests.items():
            if arm == self.arm:
                ends += count
                bad[GATE_OF_STATUS.get(status, "")] += count
        del bad[""]
        spread = statistics.spread.get(self.arm)
        return ArmSpan(ends, bad, _NOTHING.times if spread is None else tuple(spread.counts))
