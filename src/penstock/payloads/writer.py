"""Has what is offered for one sink written, on a thread of its own: whatever that sink does, only its own rows wait, or are lost.

accepted = written + dropped + waiting, always: each prediction that was to be recorded is written or counted as dropped, with the reason.
What an earlier process has left for a sink elsewhere comes on top of what was accepted.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from penstock.domain.clock import monotonic
from penstock.domain.start import StartError
from penstock.payloads.backlog import Backlog
from penstock.payloads.intake import Intake, Offered
from penstock.payloads.options import PayloadOptions
from penstock.payloads.sink import Sink, SinkFailed, Tally

_log = logging.getLogger(__name__)
_BLOCK: Final = 256
"""Rows that are encoded and written together."""
_QUIET_S: Final = 30.0
"""How long a sink that fails is not told of again."""
_NO_BACKLOG: Final = Backlog()


class Writer:
    """One sink, its queue and its thread. What is not said to be the thread's is the event loop's."""

    def __init__(self, name: str, make: Callable[[], Sink], options: PayloadOptions, intake: Intake | None = None) -> None:
        """`make` is called on the thread, again while it fails; without an `intake` the options say how large it is."""
        self.name: Final = name
        self.intake: Final = Intake(options.max_bytes) if intake is None else intake
        self._make = make
        self._sink: Sink | None = None
        self._taken = 0
        """Rows that the sink has taken; the thread's."""
        self._lost: Counter[str] = Counter()
        """Rows that were taken from the queue and not written, by reason; the thread's."""
        self._flush_s = options.flush_s
        self._headers = tuple(name.lower() for name in options.headers)
        self._wake = threading.Event()
        self._stopping = self._given_up = False
        self._thread: threading.Thread | None = None
        self._told_s = -_QUIET_S

    @property
    def backlog(self) -> Backlog | None:
        """What the sink counts of rows that wait for a destination elsewhere."""
        return None if self._sink is None else self._sink.backlog

    @property
    def written(self) -> int:
        """Rows that are where they belong."""
        backlog = self.backlog
        return self._taken if backlog is None else backlog.written

    @property
    def dropped(self) -> Mapping[str, int]:
        """Predictions that were to be recorded and are not, by reason."""
        lost = self._lost_here()
        if self._given_up:
            lost += Counter({"shutdown": self.intake.accepted - lost.total() - self._taken})
        return lost + (self.backlog or _NO_BACKLOG).dropped

    @property
    def waiting(self) -> int:
        """Rows that are neither written nor dropped."""
        here = 0 if self._given_up else self.intake.accepted - self._lost_here().total() - self._taken
        return here + (self.backlog or _NO_BACKLOG).waiting

    def _lost_here(self) -> Counter[str]:
        return self.intake.dropped + Counter(dict(self._lost))  # a copy at once: the thread may find a new reason meanwhile

    def start(self) -> None:
        """Begin to write."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"penstock-{self.name}", daemon=True)
            self._thread.start()

    def hurry(self) -> None:
        """Have what waits written now."""
        if not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        """Take nothing more; write what waits, and finish."""
        self._stopping = True
        self._wake.set()

    def join(self, within_s: float) -> None:
        """Wait until it has finished; what takes longer is given up: counted as dropped, and told in the log. Blocks."""
        if self._thread is not None:
            self._thread.join(within_s)
            self._given_up = self._thread.is_alive()
        if left := self.dropped.get("shutdown", 0):
            _log.error("%d rows could not be written to %s in time", left, self.name)

    def _work(self) -> None:
        while not self._stopping:
            self._wake.wait(self._flush_s)
            self._wake.clear()
            self._turn()
        self._turn()
        if self._sink is not None:
            self._ask(self._sink.close)

    def _turn(self) -> None:
        """Write what waits by now: more may always come, and the sink has to be asked in between."""
        if self._sink is None:
            self._ask(self._open)
        left = len(self.intake)
        while left > 0 and not self._given_up:
            offers = self.intake.take(_BLOCK)
            self._write(offers)
            self.intake.give_back(offers)
            left -= len(offers)
        if self._given_up:
            return
        if self._sink is not None:
            self._ask(self._sink.flush)

    def _open(self) -> None:
        try:
            self._sink = self._make()
        except (StartError, OSError) as error:
            raise SinkFailed(str(error)) from error

    def _write(self, offers: list[Offered]) -> None:
        records = self._records(offers)
        tally, sink = Tally(), self._sink
        if sink is None:
            tally.lost["unusable"] = len(records)
        else:
            self._ask(lambda: sink.write(records, tally))
        tally.lost["fault"] += len(records) - tally.written - tally.lost.total()
        self._lost.update(+tally.lost)
        self._taken += tally.written

    def _records(self, offers: list[Offered]) -> list[Any]:
        """Return the rows of offers; what cannot be made a row is lost."""
        epoch_ns = time.time_ns() - monotonic()
        records = []
        for offer in offers:
            try:
                records.append(offer.record(epoch_ns, self._headers))
            except Exception:
                self._lost["fault"] += 1
                _log.exception("a row for %s cannot be made, for a reason of ours", self.name)
        return records

    def _ask(self, act: Callable[[], None]) -> None:
        """Have the sink do something; what goes wrong is told, not more often than anybody reads."""
        try:
            act()
        except SinkFailed as failure:
            now_s = time.monotonic()
            if now_s - self._told_s >= _QUIET_S:
                self._told_s = now_s
                _log.warning("%s takes no rows: %s; predictions go on, what is lost is counted", self.name, failure)
        except Exception:
            _log.exception("rows cannot be written to %s for a reason of ours", self.name)
