"""When the engine should give back the memory that it keeps for runs which do not come any more."""

from typing import Final

_LOOKS: Final = 6
_CLEARLY: Final = 0.5


class ShrinkRule:
    """Looks at one version again and again. Pure.

    ONNX Runtime's arenas keep what the largest run has taken (microsoft/onnxruntime, issues 7284 and 22271). They are to be shrunk when a
    version has been idle for some looks, or when its runs of as many looks were all less than half of the largest since the last time:
    that run may have been the only one of its shape.
    """

    def __init__(self) -> None:
        self._runs = 0
        self._peak = 0
        """The largest run since the last shrinking."""
        self._recent: list[int] = []
        """The largest run of each look, 0 where there was none."""

    def look(self, runs: int, largest_bytes: int) -> bool:
        """Tell whether to shrink now, from all runs so far and the bytes that the largest one since the last look took in."""
        ran, self._runs = runs != self._runs, runs
        self._peak = max(self._peak, largest_bytes if ran else 0)
        self._recent = [*self._recent[1 - _LOOKS :], largest_bytes if ran else 0]
        if not self._peak or len(self._recent) < _LOOKS or max(self._recent) > _CLEARLY * self._peak:
            return False
        self._peak, self._recent = max(self._recent), []
        return True
