"""Files in a bucket: sealed on the disk first, each then put as a whole."""

import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from penstock.domain.clock import NS_PER_S, Clock, monotonic
from penstock.domain.records import PayloadRecord
from penstock.payloads.backlog import Backlog
from penstock.payloads.claim import Claim
from penstock.payloads.courier import Courier, Errand, NotDelivered
from penstock.payloads.deletion_news import DeletionNews
from penstock.payloads.layout import bad_path, open_path
from penstock.payloads.leftovers import repair
from penstock.payloads.open_file import make_private
from penstock.payloads.options import PayloadOptions
from penstock.payloads.reading import row_count, sealed_files
from penstock.payloads.removal import take_out
from penstock.payloads.row import UnreadableRow
from penstock.payloads.sink import Sink, SinkFailed, Tally
from penstock.payloads.tombstones import Tombstones, finishing
from penstock.payloads.waiting import DELETED, OLD, Block, Limits, Waiting

_log = logging.getLogger(__name__)
_LAST_FILES_S: Final = 3.0
_LOOK_NS: Final = 60 * NS_PER_S


class ObjectStoreSink:
    """Writes files into a claimed directory, and each that is sealed into the bucket under the same path; see `Sink`."""

    name = "object_store"

    def __init__(
        self,
        claim: Claim,
        put: Callable[[str, Path], object],
        files: Callable[..., Sink],
        options: PayloadOptions,
        *,
        kept: Path,
        courier: Callable[..., Courier] = Courier,
        clock: Clock = monotonic,
    ) -> None:
        """`put` may raise `NotDelivered`; `files` makes what writes the files; `kept` is where they go then, if they are kept at all."""
        self.backlog: Final = Backlog()
        self._claim = claim
        self._kept = kept
        self._options = options
        self._put = put
        self._waiting = Waiting(Limits.of(options), self.backlog)
        self._hidden: dict[Path, int] = {}
        """Files that could not be sealed, by where they will be, and their rows."""
        self._clock = clock
        self._looked_ns = clock()
        self._files = files(claim.path, options, heard=self._sealed, listed=kept)
        self._recover()
        self._block: Block | None = None
        self._news, self._couriers_news = DeletionNews(kept), DeletionNews(kept)
        self._courier: Final = courier(self.name, self._carry, self._heard)

    def write(self, records: Sequence[PayloadRecord], tally: Tally) -> None:
        """Write records into files; raises `SinkFailed` as these do."""
        try:
            self._files.write(records, tally)
        finally:
            self.backlog.taken += tally.written

    def flush(self) -> None:
        """Seal what is old enough, and have it sent; the oldest files give way where there is no room."""
        self._files.flush()
        if self._clock() - self._looked_ns >= _LOOK_NS:
            self._look()
        self._waiting.make_room()
        self._waiting.drop_old()
        if self.backlog.size_bytes:
            self._courier.hurry()
        try:
            self._news.heed(lambda tombstones: self._waiting.cut(partial(_cut, tombstones)))
        except OSError as error:
            raise SinkFailed(f"rows that were deleted are still in {self._claim.path}: {error.strerror}") from error

    def close(self) -> None:
        """Seal every file and send it, if that works at once; the rest stays on the disk for the next start."""
        self._files.close()
        self.flush()
        self._courier.stop(_LAST_FILES_S)
        self._claim.release()
        if self.backlog.waiting:
            _log.warning("%d recorded predictions wait in %s for the next start", self.backlog.waiting, self._claim.path)

    def _recover(self) -> None:
        """Have what earlier processes have left wait: what they sealed, and what is sealed for them now."""
        for path in sealed_files(self._claim.path):
            try:
                self._found(path, row_count(path), 0)
            except UnreadableRow as error:
                _log.warning("%s; it is kept as %s", error, bad_path(path).name)
                path.replace(bad_path(path))
        self._look()
        for folder in sorted(self._claim.path.glob("model=*/**/"), reverse=True):
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()

    def _look(self) -> None:
        """Seal what others have left, or could not be sealed before; what somebody has removed meanwhile is lost."""
        self._looked_ns = self._clock()
        repair(self._claim.path, self._options.rotate_s, heard=self._found, listed=self._kept)
        for path in [path for path in self._hidden if not open_path(path).exists()]:
            self.backlog.overflowed["io"] += self._hidden.pop(path)

    def _found(self, path: Path, rows: int, gone: int) -> None:
        """Hear of a file that was left, by an earlier process unless it could not be sealed by this one."""
        if self._hidden.pop(path, None) is None:
            self.backlog.recovered += rows + gone
        self._sealed(path, rows, gone)

    def _sealed(self, path: Path, rows: int, gone: int) -> None:
        """Hear of a file that is sealed, is still hidden, or is gone, and of rows that were deleted before."""
        if gone:
            self.backlog.overflowed[DELETED] += gone
        if open_path(path).exists():
            self._hidden[path] = rows
            return
        if not rows:
            return
        try:
            self._waiting.add(Block(path, rows, path.stat().st_size))
        except OSError:
            self.backlog.overflowed["io"] += rows

    def _heard(self, is_up: bool) -> None:
        self.backlog.is_up = is_up

    def _carry(self, _probe: bool) -> Errand:
        """Put the oldest file; raises `NotDelivered`."""
        if self._block is None:
            self._block = self._waiting.take()
            self._couriers_news = DeletionNews(self._kept)  # the writer may not have cut it yet
        if self._block is None:
            return Errand.NOTHING
        self._couriers_news.heed(partial(self._cut, self._block))
        if not self._block.rows:
            pass  # all of them were deleted
        elif self._waiting.is_old(self._block):
            self.backlog.refused[OLD] += self._block.rows
        else:
            self._send(self._block)
        self._waiting.done(self._block)
        self._block = None
        return Errand.DONE

    def _cut(self, block: Block, tombstones: Tombstones) -> None:
        """Take the rows that are to go out of the file that is to be sent, for what is in the bucket is beyond reach."""
        try:
            gone = _cut(tombstones, block)
        except OSError as error:
            raise NotDelivered(f"rows that were deleted are still in {block.path}: {error.strerror}") from error
        if gone:
            self.backlog.refused[DELETED] += gone
            self._waiting.shrink(block, gone)

    def _send(self, block: Block) -> None:
        try:
            self._put(str(block.path.relative_to(self._claim.path)), block.path)
        except FileNotFoundError:
            self.backlog.refused["io"] += block.rows
            _log.error("recorded predictions in %s are lost: it was removed", block.path)
            return
        self.backlog.written += block.rows
        if self._options.object_store.keep_uploaded:
            self._keep(block.path)

    def _keep(self, path: Path) -> None:
        target = self._kept / path.relative_to(self._claim.path)
        try:
            make_private(target.parent)
            with finishing(self._kept) as tombstones:  # a deletion may have come while it was put
                if tombstones:
                    take_out(path, tombstones)
                path.rename(target)
        except FileNotFoundError:  # all of its rows were deleted
            return
        except OSError as error:
            _log.warning("%s is in the bucket, and cannot be kept here too: %s", path, error.strerror)


def _cut(tombstones: Tombstones, block: Block) -> int:
    try:
        return take_out(block.path, tombstones)
    except FileNotFoundError:  # it is found when it is to be sent
        return 0
    except UnreadableRow as error:  # nobody can tell whose rows it holds
        _log.warning("%s; it is kept as %s", error, bad_path(block.path).name)
        block.path.replace(bad_path(block.path))
        return 0
