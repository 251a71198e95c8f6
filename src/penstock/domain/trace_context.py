"""The trace that a request is part of, as its caller says."""

import re
from typing import Final, NamedTuple

_FORM: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_NO_VERSION: Final = "ff"
_FIRST_VERSION: Final = "00"
_SAMPLED: Final = 1


class TraceContext(NamedTuple):
    """One span, as others refer to it."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    sampled: bool
    """Whether the trace is recorded."""

    @property
    def traceparent(self) -> str:
        """The header that says so."""
        return f"{_FIRST_VERSION}-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


def trace_context_of(traceparent: str) -> TraceContext | None:
    """Return what a `traceparent` says, None if it is malformed: then the trace begins anew (W3C Trace Context, sections 3.2 and 4.3)."""
    found = _FORM.fullmatch(traceparent.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == _NO_VERSION or (version == _FIRST_VERSION and rest) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def trace_id_of(traceparent: str) -> str:
    """Return the trace's id, "" without one."""
    context = trace_context_of(traceparent) if traceparent else None
    return "" if context is None else context.trace_id
