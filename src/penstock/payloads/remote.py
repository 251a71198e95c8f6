"""A sink whose rows go elsewhere: kept on the disk until their destination has confirmed them."""

import logging
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from penstock.domain.records import PayloadRecord
from penstock.payloads.backlog import Backlog
from penstock.payloads.claim import Claim
from penstock.payloads.courier import Courier, Errand, NotDelivered
from penstock.payloads.deletion_news import DeletionNews
from penstock.payloads.encoding import encoded
from penstock.payloads.file_set import loss_of
from penstock.payloads.json_rows import lines_of as json_rows
from penstock.payloads.sink import SinkFailed, Tally
from penstock.payloads.spool import Spool, keep, lines_of
from penstock.payloads.tombstones import Tombstones
from penstock.payloads.waiting import DELETED, OLD, Block, Limits

_log = logging.getLogger(__name__)
_PIECE_BYTES: Final = 1024 * 1024
_LAST_ROWS_S: Final = 3.0


class Fate(Enum):
    """What became of a row that was sent."""

    WRITTEN = auto()
    REFUSED = auto()
    """It will not be taken, however often it is sent."""
    AGAIN = auto()
    """It may be taken later; also where nobody knows."""


class Delivery(NamedTuple):
    """The fates of rows, in their order."""

    fates: Sequence[Fate]
    problem: str = ""
    """Why some are to be sent again."""


class Destination(Protocol):
    """Where rows go. Called on the courier's thread only; every call ends by itself, in `timeout_s` and a little."""

    together: int
    """Rows that are sent before their fates are asked for: no deletion, and no stop, is heeded meanwhile."""

    def send(self, lines: Sequence[bytes]) -> Delivery:
        """Send rows, each a line of JSON."""

    def close(self) -> None:
        """Let go of connections."""


class RemoteSink:
    """Writes rows into a buffer on the disk, from which a courier sends them; see `Sink`."""

    def __init__(
        self,
        name: str,
        claim: Claim,
        limits: Limits,
        connect: Callable[[], Destination],
        *,
        listed: Path,
        courier: Callable[..., Courier] = Courier,
    ) -> None:
        """`connect` is called on the courier's thread, when there is something to send; deletions are listed in `listed`."""
        self.name: Final = name
        self.backlog: Final = Backlog()
        self._claim = claim
        self._spool: Final = Spool(claim.path, limits, self.backlog)
        self._connect = connect
        self._destination: Destination | None = None
        self._block: Block | None = None
        self._left: list[bytes] = []
        self._listed: Final = listed
        self._news, self._couriers_news = DeletionNews(listed), DeletionNews(listed)
        self._courier: Final = courier(name, self._carry, self._heard)

    def write(self, records: Sequence[PayloadRecord], tally: Tally) -> None:
        """Keep records; raises `SinkFailed` for what the disk, or JSON, did not take."""
        reasons: set[str] = set()
        for lines in _pieces(encoded(records, json_rows, tally.lost)):
            try:
                self._spool.put(lines)
            except OSError as error:
                tally.lost[loss_of(error)] += len(lines)
                reasons.add(str(error.strerror))
            else:
                tally.written += len(lines)
        self._courier.hurry()
        if tally.lost:
            raise SinkFailed(f"in {self._claim.path}: {', '.join(sorted(reasons)) or 'a record cannot be written as JSON'}")

    def flush(self) -> None:
        """Have what an earlier process has left sent too, and what has waited for too long, or is deleted, dropped."""
        self._spool.waiting.drop_old()
        if self.backlog.waiting:
            self._courier.hurry()
        try:
            self._news.heed(self._spool.cut)
        except OSError as error:
            raise SinkFailed(f"rows that were deleted are still in {self._claim.path}: {error.strerror}") from error

    def close(self) -> None:
        """Send what is left, if that works at once; the rest stays on the disk for the next start."""
        if self._courier.stop(_LAST_ROWS_S) and self._destination is not None:
            self._destination.close()
        self._put_aside()
        self._claim.release()
        if self.backlog.waiting:
            _log.warning("%d recorded predictions wait in %s for the next start", self.backlog.waiting, self._claim.path)

    def _put_aside(self) -> None:
        """Leave of the block that is being sent only what has not arrived, so that the next start sends no more twice than is under way."""
        block, left = self._block, list(self._left)
        if block is not None:
            try:
                keep(block.path, left)
            except OSError as error:
                _log.warning("rows of %s may be sent twice, as it cannot be rewritten: %s", block.path, error.strerror)

    def _heard(self, is_up: bool) -> None:
        self.backlog.is_up = is_up

    def _carry(self, probe: bool) -> Errand:
        """Send the next rows of the oldest block; raises `NotDelivered`."""
        if not self._left and not self._next_block():
            return Errand.NOTHING
        self._couriers_news.heed(self._cut)
        if not self._left:
            return Errand.DONE
        if self._block is not None and self._spool.waiting.is_old(self._block):
            self.backlog.refused[OLD] += len(self._left)
            self._left = []
            self._finish_block()
            return Errand.DONE
        if self._destination is None:
            self._destination = self._connect()
        together = self._left[: 1 if probe else self._destination.together]
        delivery = self._destination.send(together)
        again = [line for line, fate in zip(together, delivery.fates, strict=True) if fate is Fate.AGAIN]
        self._left[: len(together)] = again
        if refused := delivery.fates.count(Fate.REFUSED):
            self.backlog.refused["refused"] += refused
        self.backlog.written += delivery.fates.count(Fate.WRITTEN)
        if not self._left:
            self._finish_block()
        if again:
            raise NotDelivered(delivery.problem)
        return Errand.DONE

    def _cut(self, tombstones: Tombstones) -> None:
        """Take the rows that are to go out of the block that is being sent."""
        staying = [line for line in self._left if not tombstones.takes_line(line)]
        gone = len(self._left) - len(staying)
        if self._block is None or not gone:
            return
        self._left = staying
        try:
            keep(self._block.path, staying)
        except OSError as error:
            _log.warning("rows that were deleted are still in %s, until the others are sent: %s", self._block.path, error.strerror)
        self.backlog.refused[DELETED] += gone  # after they are off the disk: whoever reads the count looks there
        if not staying:
            self._finish_block()

    def _next_block(self) -> bool:
        """Read the oldest block that has rows; returns whether there is one."""
        while (block := self._spool.waiting.take()) is not None:
            self._left = lines_of(block)
            self._block = block  # last: whoever stops meanwhile puts aside what it sees
            self._couriers_news = DeletionNews(self._listed)  # the writer may not have cut it yet
            if lost := block.rows - len(self._left):
                self.backlog.refused["io"] += lost
            if self._left:
                return True
            self._finish_block()
        return False

    def _finish_block(self) -> None:
        if self._block is not None:
            self._spool.waiting.done(self._block)
            self._block = None


def _pieces(lines: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Yield lines in portions that may be held in memory again when they are sent."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if piece and size + len(line) > _PIECE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield piece
