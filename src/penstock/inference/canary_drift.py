"""What the drift gate of a rollout asks: how far the canary's outputs lie from the stable arm's, of the same time."""

from typing import Final, NamedTuple

from penstock.domain.clock import NS_PER_S, Clock, monotonic
from penstock.inference.drift import Drift
from penstock.monitoring.arm_comparison import ArmComparison
from penstock.monitoring.version_watch import VersionWatch
from penstock.payloads.flat import OUTPUT

_FORGOTTEN_NS: Final = 60 * NS_PER_S
"""After so long without a question a comparison ends: its rollout has."""
Arm = tuple[str, str]
"""A version's number, and the name of the arm."""


class _Compared(NamedTuple):
    comparison: ArmComparison
    watches: tuple[VersionWatch, VersionWatch]
    """Of the stable version and of the canary's."""
    asked_ns: int

    def end(self) -> None:
        for watch in self.watches:
            watch.end(self.comparison)


class CanaryDrift:
    """Has the outputs of both arms gathered for as long as somebody asks, whether or not the model is watched. Lives on the event loop."""

    def __init__(self, drift: Drift, clock: Clock = monotonic) -> None:
        self._drift = drift
        self._clock = clock
        self._compared: dict[tuple[str, Arm, Arm], _Compared] = {}

    def obstacle(self, model: str, canary: str, stable: str) -> str:
        """Return why the outputs of two versions, by their numbers, cannot be compared; "" if they can."""
        watches = self._watches(model, canary, stable)
        if watches is None or _common(watches):
            return ""
        reasons = {f"{name}: {why}" for watch in watches for name, why in watch.unwatched.items() if name.startswith(OUTPUT)}
        return "the versions have no output in common that is watched" + (f" ({'; '.join(sorted(reasons))})" if reasons else "")

    def between(self, model: str, canary: Arm, stable: Arm) -> float | None:
        """Return the distance in the window that has ended since somebody asked last, None if none has; see `ArmComparison`."""
        self._tidy()
        watches, key = self._watches(model, canary[0], stable[0]), (model, canary, stable)
        compared = self._compared.pop(key, None)
        if compared is not None and compared.watches != watches:
            compared.end()
            compared = None
        if watches is None or not (names := _common(watches)):
            return None
        comparison = self._begun(names, watches, canary, stable) if compared is None else compared.comparison
        self._compared[key] = _Compared(comparison, watches, self._clock())
        return comparison.ask()

    def _begun(self, names: list[str], watches: tuple[VersionWatch, VersionWatch], canary: Arm, stable: Arm) -> ArmComparison:
        comparison = ArmComparison(names)
        for place, (watch, (_, arm)) in enumerate(zip(watches, (stable, canary), strict=True)):
            watch.compare(comparison, place, arm)
        self._drift.attach()
        return comparison

    def _tidy(self) -> None:
        now_ns = self._clock()
        for key in [key for key, each in self._compared.items() if now_ns - each.asked_ns > _FORGOTTEN_NS]:
            self._compared.pop(key).end()

    def _watches(self, model: str, canary: str, stable: str) -> tuple[VersionWatch, VersionWatch] | None:
        theirs, mine = self._drift.find(model, stable), self._drift.find(model, canary)
        return None if theirs is None or mine is None else (theirs.watch, mine.watch)


def _common(watches: tuple[VersionWatch, VersionWatch]) -> list[str]:
    """Return the features of outputs that both versions have: numbers in both, or text in both."""
    stable, canary = (
        {*zip(columns.names, columns.is_text, strict=True)} for columns in (watch.sides["outputs"].columns for watch in watches)
    )
    return sorted(name for name, _ in stable & canary)
