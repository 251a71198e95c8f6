"""Every shadow that there is or lately was: its queue, and what its answers were compared with."""

from collections.abc import Iterator, Sequence
from itertools import count
from operator import attrgetter
from typing import Final

from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest
from penstock.inference.options import ShadowOptions
from penstock.inference.shadow_queue import HeldBytes, ShadowEnd, ShadowQueue, Told
from penstock.traffic.comparison import Comparison, Side
from penstock.traffic.differences import Tolerance
from penstock.traffic.examples import Examples

_MOST_COMPARISONS: Final = 4
"""Comparisons that are kept of each shadow: it has met so many other versions, or files, last."""
_MOST_PAST: Final = 4
_MOST_NOISES: Final = 64


class ShadowBooks:
    """Keeps queues and comparisons by name. Lives on the event loop."""

    def __init__(self, options: ShadowOptions, held: HeldBytes) -> None:
        self.tell: Told | None = None
        """Who hears what became of each request at the shadows of a route."""
        self._options = options
        self._held = held
        self._tolerance = Tolerance(options.rtol, options.atol)
        self._present: dict[str, dict[str, ShadowQueue]] = {}
        """By model and reference: the shadows of the route in force."""
        self._past: dict[str, list[ShadowQueue]] = {}
        """By model: shadows that the route had before, the latest last."""
        self._again: dict[tuple[str, str], ShadowQueue] = {}
        """By model and number: runs on versions that have answered."""
        self._noises: dict[ModelVersion, Side] = {}
        self._uses = count()

    def __iter__(self) -> Iterator[ShadowQueue]:
        """Iterate over the queues in which anything may wait."""
        for queues in self._present.values():
            yield from queues.values()
        yield from self._again.values()

    def present(self, model: str) -> Sequence[ShadowQueue]:
        """Return the shadows of the route in force."""
        return list(self._present.get(model, {}).values())

    def past(self, model: str) -> Sequence[ShadowQueue]:
        """Return the shadows that the route had before, the latest first."""
        return self._past.get(model, [])[::-1]

    def models(self) -> Iterator[str]:
        """Iterate over the models that have or had shadows."""
        yield from sorted(self._present.keys() | self._past.keys())

    def shadows(self, model: str, references: Sequence[str]) -> list[ShadowQueue]:
        """Return the queues of the shadows that a route names; those that it does not name any more are emptied and put aside."""
        before, past = self._present.get(model, {}), self._past.setdefault(model, [])
        for reference in [reference for reference in before if reference not in references]:
            queue = before.pop(reference)
            queue.drop(ShadowEnd.REMOVED)
            queue.leave()
            past.append(queue)
        del past[:-_MOST_PAST]
        self._present[model] = {
            reference: before[reference] if reference in before else ShadowQueue(model, reference, self._held, tell=self._told)
            for reference in dict.fromkeys(references)
        }
        return [self._present[model][reference] for reference in references]

    def noise(self, model: str, number: str) -> ShadowQueue:
        """Return the queue of runs on a version that has answered."""
        queue = self._again.get((model, number))
        if queue is None:
            self._forget_idle()
            queue = self._again[model, number] = ShadowQueue(model, number, self._held, again=True)
        return queue

    def _told(self, request: InferenceRequest, *, disagrees: bool) -> None:
        if self.tell is not None:
            self.tell(request, disagrees=disagrees)

    def side(self, queue: ShadowQueue, ran: ModelVersion, primary: ModelVersion) -> Side:
        """Return where it is added what the version that ran a queue is found to answer beside a primary."""
        if queue.again:  # files that were replaced under their number say nothing about those before
            return self._noise_of(primary) if ran == primary else Side(self._tolerance)
        comparison = self._comparison(queue, ran, primary)
        comparison.used = next(self._uses)
        return comparison.beside

    def _comparison(self, queue: ShadowQueue, ran: ModelVersion, primary: ModelVersion) -> Comparison:
        for comparison in queue.comparisons:
            if (comparison.primary, comparison.shadow) == (primary, ran):
                return comparison
        noise = self._noise_of(primary)
        beside = Side(self._tolerance, Examples(self._options.examples, values=self._options.show_values), noise)
        if len(queue.comparisons) >= _MOST_COMPARISONS:
            queue.comparisons.remove(min(queue.comparisons, key=attrgetter("used")))
        queue.comparisons.append(Comparison(primary, ran, beside, noise))
        return queue.comparisons[-1]

    def _noise_of(self, primary: ModelVersion) -> Side:
        side = self._noises.pop(primary, None) or Side(self._tolerance)
        self._noises[primary] = side  # the last to be forgotten
        while len(self._noises) > _MOST_NOISES:
            self._noises.pop(next(iter(self._noises)))
        return side

    def _forget_idle(self) -> None:
        """Make room for one more; those that hold something stay, however many they are."""
        idle = [key for key, queue in self._again.items() if not queue.size_bytes]
        for key in idle[: max(0, len(self._again) + 1 - _MOST_NOISES)]:
            self._again.pop(key).leave()
