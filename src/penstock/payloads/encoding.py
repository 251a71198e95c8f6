"""Records as lines, for sinks that write lines."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

_log = logging.getLogger(__name__)
Lines = Callable[[Sequence[Any]], list[bytes]]
"""Returns the lines of records, their ends included; raises for a record that JSON cannot say."""


def encoded(records: Sequence[Any], lines: Lines, lost: Counter[str]) -> list[bytes]:
    """Return the lines of records: all in one go, or one by one, for a record that cannot be written must not cost the others theirs."""
    try:
        return lines(records)
    except Exception:
        return [line for record in records for line in _alone(record, lines, lost)]


def _alone(record: Any, lines: Lines, lost: Counter[str]) -> list[bytes]:  # noqa: ANN401 - of any kind
    try:
        return lines([record])
    except Exception:
        lost["encode"] += 1
        _log.exception("a record of model %s cannot be written as JSON", record.model)
        return []
