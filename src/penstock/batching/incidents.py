"""Batches that have failed: who is to blame, the data or the lane."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from penstock.batching.actions import Dispatch
from penstock.batching.bisection import Bisection
from penstock.batching.job import NEVER_NS, Job
from penstock.domain.clock import NS_PER_S

_REST_NS: Final = NS_PER_S
_MOST_REST_NS: Final = 30 * NS_PER_S


class Incidents:
    """Failures under investigation, and lanes that failed their check."""

    def __init__(self, *, can_check: bool) -> None:
        """Without `can_check` there is no input that a lane should be able to run: a job that fails alone is to blame."""
        self._can_check = can_check
        self._open: deque[Bisection] = deque()
        self._running: dict[int, Bisection] = {}
        self._doubtful: deque[Bisection] = deque()
        self._checking: dict[int, Bisection | None] = {}
        self._resting: dict[int, tuple[int, int]] = {}
        """Broken lanes: when to try them again, and how long they rest."""
        self.blamed: list[Job] = []
        """Jobs found guilty, until they are told."""
        self.lost: list[Job] = []
        """Jobs that met a broken lane, until they are told."""

    @property
    def quiet(self) -> bool:
        """Whether nothing has failed lately."""
        return not (self._open or self._doubtful or self._resting or self.blamed or self.lost)

    @property
    def broken(self) -> int:
        """Lanes that have failed their check and were not sound since."""
        return len(self._resting)

    @property
    def wake_ns(self) -> int:
        """When a broken lane is to be tried again."""
        return min([wake_ns for wake_ns, _ in self._resting.values()]) if self._resting else NEVER_NS

    def sound_in(self, now_ns: int) -> int:
        """Return in how many nanoseconds a broken lane may be sound again; one that is being tried may soon rest once more."""
        waits = (rest_ns if wake_ns >= NEVER_NS else max(0, wake_ns - now_ns) for wake_ns, rest_ns in self._resting.values())
        return min(waits, default=0)

    def next_rerun(self) -> tuple[Bisection, Sequence[Job]] | None:
        """Return jobs to run together again, next of all."""
        while self._open:
            bisection = self._open.popleft()
            if jobs := bisection.next():
                return bisection, jobs
            self._conclude(bisection)
        return None

    def settle(self) -> None:
        """Come to a conclusion about failures of which nothing is left to run."""
        for bisection in [each for each in self._open if each.finished]:
            self._open.remove(bisection)
            self._conclude(bisection)

    def next_check(self) -> bool:
        """Tell whether a lane has to be checked before anybody is blamed."""
        return bool(self._doubtful)

    def began(self, lane: int, bisection: Bisection) -> None:
        """Note where a rerun is under way."""
        self._running[lane] = bisection

    def begin_check(self, lane: int) -> None:
        """Note that the lane runs the stored input for the oldest doubtful failure."""
        self._checking[lane] = self._doubtful.popleft()

    def passed(self, run: Dispatch) -> None:
        """Hear of a run that succeeded."""
        bisection = self._running.pop(run.lane, None)
        if bisection is not None:
            bisection.passed()
            self._open.appendleft(bisection)

    def failed(self, run: Dispatch) -> None:
        """Hear of a run that failed."""
        bisection = self._running.pop(run.lane, None)
        if bisection is None:
            bisection = Bisection(run.jobs)
        else:
            bisection.failed(run.jobs)
        self._open.appendleft(bisection)

    def dropped(self, run: Dispatch) -> None:
        """Hear of a run that tells nothing, for nobody waits for it."""
        bisection = self._running.pop(run.lane, None)
        if bisection is not None:
            self._open.appendleft(bisection)

    def checked(self, lane: int, now_ns: int, *, sound: bool) -> None:
        """Hear how the stored input fared in a lane."""
        bisection = self._checking.pop(lane)
        jobs = bisection.alone if bisection else []
        if sound:
            self._resting.pop(lane, None)
            self.blamed += jobs
        else:
            rest_ns = min(_MOST_REST_NS, 2 * self._resting[lane][1] if lane in self._resting else _REST_NS)
            self._resting[lane] = (now_ns + rest_ns, rest_ns)
            self.lost += jobs

    def try_again(self, now_ns: int) -> list[int]:
        """Return broken lanes that have rested, which now run the stored input."""
        lanes = [lane for lane, (wake_ns, _) in self._resting.items() if wake_ns <= now_ns and lane not in self._checking]
        for lane in lanes:
            self._resting[lane] = (NEVER_NS, self._resting[lane][1])
            self._checking[lane] = None
        return lanes

    def _conclude(self, bisection: Bisection) -> None:
        if bisection.alone and self._can_check and not bisection.sound:
            self._doubtful.append(bisection)
        else:
            self.blamed += bisection.alone
