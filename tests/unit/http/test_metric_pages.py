"""Pages of metrics are made for all who ask at once, and never before the question."""

import asyncio

import pytest

from penstock.http.metric_pages import Pages


@pytest.mark.asyncio
async def test_those_who_ask_together_share_a_page() -> None:
    """By format; who asks later gets a new one."""
    made: list[str] = []

    def make(accept: str) -> tuple[bytes, str]:
        made.append(accept)
        return str(len(made)).encode(), accept

    pages = Pages(make)
    together = await asyncio.gather(*(pages.page("text") for _ in range(100)), pages.page("open"))
    later = await pages.page("text")

    assert together == [(b"1", "text")] * 100 + [(b"2", "open")]
    assert later == (b"3", "text")
    assert made == ["text", "open", "text"]


@pytest.mark.asyncio
async def test_fault_is_told_to_all_who_asked() -> None:
    """And the next question is asked anew; a caller who leaves costs nobody the page."""
    faults = [RuntimeError("a fault")]

    def make(_: str) -> tuple[bytes, str]:
        if faults:
            raise faults.pop()
        return b"page", "text"

    pages = Pages(make)
    told = await asyncio.gather(pages.page(""), pages.page(""), return_exceptions=True)
    assert [type(each) for each in told] == [RuntimeError, RuntimeError]

    leaver, stayer = asyncio.ensure_future(pages.page("")), asyncio.ensure_future(pages.page(""))
    await asyncio.sleep(0)
    leaver.cancel()
    assert await stayer == (b"page", "text")
