"""The canonical line of each prediction, written in blocks by a thread of its own."""

import sys
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal, TextIO, cast

import orjson

from penstock.domain.clock import NS_PER_MS
from penstock.domain.outcome import Outcome
from penstock.domain.route import STABLE
from penstock.domain.ticket import Ticket
from penstock.domain.trace_context import trace_id_of

_MOST_LINES: Final = 65_536
_BLOCK: Final = 512
_PAUSE_S: Final = 0.1
WITHHELD: Final = "withheld: inputs of the model are redacted"
"""Stands for messages of a model's errors, which quote what they complain of."""
Policy = Literal["errors", "all", "off"]
Line = dict[str, object]


class AccessLog:
    """Takes a record at the end of each prediction and never waits: what the writer cannot keep up with is dropped and counted."""

    def __init__(
        self,
        policy: Policy,
        *,
        as_json: bool,
        stream: TextIO | None = None,
        alias_of: Callable[[Ticket], str] = lambda _: "",
        names_callers: bool = True,
    ) -> None:
        """`alias_of` tells by which alias a prediction has found its version, "" if by none; `names_callers` lets lines say who asked."""
        self.dropped = 0
        self.redacted: Final[set[str]] = set()
        """Models whose messages, which quote what they complain of, stay out."""
        self.takes_answers: Final = policy == "all"
        """Whether lines of answered predictions are wanted, so that nobody has to offer them in vain."""
        self._policy = policy
        self._format: Callable[[Line], str] = _as_json if as_json else _as_text
        self._stream = stream or sys.stderr
        self._alias_of = alias_of
        self._names_callers = names_callers
        self._lines: deque[Line] = deque()
        self._stopping = threading.Event()
        self._writer: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write."""
        if self._policy != "off":
            self._writer = threading.Thread(target=self._write_blocks, name="penstock-access-log", daemon=True)
            self._writer.start()

    def close(self) -> None:
        """Write what is left and end the thread; blocks."""
        self._stopping.set()
        if self._writer is not None:
            self._writer.join()

    def observe(self, ticket: Ticket, status: str) -> None:
        """Offer the line of a prediction that has ended."""
        if self._policy == "off" or (not self.takes_answers and ticket.outcome is Outcome.ANSWERED):
            return
        if len(self._lines) >= _MOST_LINES:
            self.dropped += 1
            return
        line = _line(ticket, status, self._alias_of(ticket))
        if self._names_callers and (caller := ticket.request.caller) is not None:
            line |= {"caller": caller.name, "key_id": caller.key_id}
        if ticket.error is not None and ticket.request.model in self.redacted:
            line["error"] = WITHHELD
        self._lines.append(line)

    def _write_blocks(self) -> None:
        while not self._stopping.wait(_PAUSE_S):
            self._write()
        self._write()

    def _write(self) -> None:
        while self._lines:
            block = [self._format(self._lines.popleft()) for _ in range(min(_BLOCK, len(self._lines)))]
            try:
                self._stream.write("\n".join(block) + "\n")
                self._stream.flush()
            except (OSError, ValueError):  # a closed or full stream must not end the writer
                self.dropped += len(block)


def _line(ticket: Ticket, status: str, alias: str) -> Line:
    """Return the record of one prediction; never holds tensors."""
    request, timeline = ticket.request, ticket.timeline
    return {
        "time": datetime.now(UTC),
        "level": "info" if ticket.error is None else "warning",
        "event": "prediction",
        "request_id": request.request_id,
        "trace_id": trace_id_of(request.traceparent),
        "client_id": request.client_id,
        "protocol": request.protocol,
        "model": request.model[:128],
        "version": ticket.lease.identity.version if ticket.lease else request.version[:128],
        "digest": ticket.lease.identity.digest if ticket.lease else "",
        "alias": alias if ticket.lease else "",
        "arm": ticket.arm,
        "status": status,
        "error": ticket.error.message if ticket.error else "",
        "batch_rows": ticket.response.batch_rows if ticket.response else 0,
        "queue_ms": timeline.queue_ns / NS_PER_MS,
        "compute_ms": timeline.compute_ns / NS_PER_MS,
        "total_ms": timeline.total_ns / NS_PER_MS,
    }


def _as_json(line: Line) -> str:
    line["time"] = _moment(line)
    return orjson.dumps(line).decode()


def _as_text(line: Line) -> str:
    arm = "" if line["arm"] == STABLE else f" ({_plain(line['arm'])})"
    what = f"{line['protocol']} {_plain(line['model'])}/{_plain(line['version'])}{arm} {line['status']} {line['total_ms']:.2f} ms"
    caller = f" caller={_plain(line['caller'])}" if "caller" in line else ""
    return f"{_moment(line)[11:19]} {line['level']:7} {what} id={_plain(line['request_id'])}{caller} {_plain(line['error'])}".rstrip()


def _moment(line: Line) -> str:
    """Return when the prediction ended, in ISO 8601; the writer's work, so that an end costs its caller less."""
    return cast(datetime, line["time"]).isoformat(timespec="milliseconds")


def _plain(value: object) -> str:
    """Return the text with everything escaped that could break or colour a line."""
    return ascii(str(value))[1:-1]
