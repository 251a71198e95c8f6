"""One turn of a shadow on a device: some pairs are run and compared on a thread, and the event loop hears of it once."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from penstock.domain.clock import NS_PER_S, monotonic
from penstock.domain.errors import InvalidInput, PenstockError
from penstock.domain.model import ModelVersion
from penstock.execution.courtesy import Courtesy
from penstock.inference.shadow_pair import ShadowPair
from penstock.inference.shadow_queue import ShadowEnd, ShadowQueue
from penstock.inference.shadow_runs import Shadowed, ShadowRuns
from penstock.lifecycle.version import ServedVersion
from penstock.traffic.comparison import Observed, Side
from penstock.traffic.findings import Answers
from penstock.traffic.tally import Counts

_log = logging.getLogger(__name__)


class ShadowTurn:
    """Pairs that have a device for a while. `work` belongs to a thread; the rest to the event loop, before and after it."""

    def __init__(
        self,
        queue: ShadowQueue,
        pairs: Sequence[ShadowPair],
        version: ServedVersion,
        runs: ShadowRuns,
        sides: Callable[[ModelVersion], Side],
    ) -> None:
        """`sides` returns where what is found beside a primary is added."""
        self.queue: Final = queue
        self.pairs: Final = pairs
        self.version: Final = version
        self.runs: Final = runs
        self.courtesy: Final = Courtesy()
        self.overdue = False
        """Whether a run was ended because it took too long."""
        self.abandoned = False
        """Whether nobody waits for the thread any more."""
        self.took_ns = 0
        self.ends: Final[dict[ShadowPair, ShadowEnd]] = {}
        self.counts: Final[list[Counts]] = []
        self.last_error = ""
        self._sides = {pair.primary: sides(pair.primary) for pair in pairs}

    def work(self) -> None:
        """Run and compare; whatever happens is swallowed, for no caller may hear of it."""
        started_ns = monotonic()
        try:
            with self.courtesy:
                self._compare()
        except Exception as error:
            _log.exception("a shadow's turn failed for a reason of ours")
            self.last_error = f"the server failed to compare: {type(error).__name__}; its log tells more"
            self.ends.update({pair: ShadowEnd.FAILED for pair in self.pairs if pair not in self.ends})
        self.took_ns = monotonic() - started_ns

    def over(self) -> list[ShadowPair]:
        """Book the ends and return the pairs that are to be tried again."""
        queue, left = self.queue, [pair for pair in self.pairs if pair not in self.ends]
        for pair in left:
            pair.tries += 1
        gone = ShadowEnd.TIMEOUT if self.overdue else ShadowEnd.YIELDED
        self.ends.update({pair: gone for pair in left if self.overdue or pair.given_up})
        queue.number = self.version.identity.version
        for pair, end in self.ends.items():
            queue.settled((pair,), end)
        queue.device_ns[queue.number] += self.took_ns
        for counts in self.counts:
            queue.count(counts)
        queue.last_error = self.last_error or queue.last_error
        if queue.hangs_since is not None:
            queue.hangs_since = None
            queue.last_error = f"a run hung for {self.took_ns / NS_PER_S:.0f} s before it ended"
        return [pair for pair in left if pair not in self.ends]

    def _compare(self) -> None:
        by_primary: defaultdict[ModelVersion, list[Shadowed]] = defaultdict(list)
        for result in self.runs.results(self.pairs):
            if result.error is None:
                by_primary[result.pair.primary].append(result)
            else:
                self._note(result.pair, result.error)
        for primary, results in by_primary.items():
            side = self._sides[primary]
            counts = side.add([_observed(result) for result in results])
            self.counts.append(counts)
            for result, score in zip(results, counts.scores, strict=True):
                result.pair.disagrees = score > side.floor
                self.ends[result.pair] = ShadowEnd.COMPARED

    def _note(self, pair: ShadowPair, error: PenstockError) -> None:
        self.ends[pair] = ShadowEnd.REFUSED if isinstance(error, InvalidInput) else ShadowEnd.FAILED
        self.last_error = error.message


def _observed(result: Shadowed) -> Observed:
    pair = result.pair
    answers = Answers(pair.request.request_id, pair.outputs, result.outputs)
    return Observed(answers, pair.request.inputs, pair.primary_ns, result.infer_ns, result.began_ns - pair.taken_ns)
