"""What a `traceparent` says."""

import pytest

from penstock.domain.trace_context import TraceContext, trace_context_of, trace_id_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("flags, sampled", [("00", False), ("01", True), ("03", True), ("fe", False)])
def test_the_last_bit_says_whether_the_trace_is_recorded(flags: str, sampled: bool) -> None:
    """Other bits are somebody else's."""
    assert trace_context_of(f"00-{TRACE}-{SPAN}-{flags}") == TraceContext(TRACE, SPAN, sampled)


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    """W3C Trace Context, section 4.3."""
    assert trace_context_of(f"cc-{TRACE}-{SPAN}-01-what-ever") == TraceContext(TRACE, SPAN, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0١",
        f"00-{TRACE[1:]}-{SPAN}-01",
    ],
)
def test_what_is_malformed_says_nothing(text: str) -> None:
    """The request is served all the same."""
    assert trace_context_of(text) is None
    assert trace_id_of(text) == ""


def test_a_context_is_written_as_it_is_read() -> None:
    """Both ways."""
    context = TraceContext(TRACE, SPAN, sampled=True)
    assert trace_context_of(context.traceparent) == context
    assert trace_context_of(TraceContext(TRACE, SPAN, sampled=False).traceparent) == TraceContext(TRACE, SPAN, False)
