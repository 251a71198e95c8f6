"""Pages of metrics, made once for all who ask for them at the same time."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

Page = tuple[bytes, str]
"""The body, and its content type."""
_AT_ONCE: Final = 4
"""Scrapers that are answered in one turn of the event loop, so that predictions come between."""


class Pages:
    """Lives on the event loop: a hundred scrapers who ask at once cost it one page, and nobody gets one from before the question."""

    def __init__(self, make: Callable[[str], Page]) -> None:
        """`make` returns the page for an Accept header; it blocks the loop for as long as it takes to count everything."""
        self._make: Final = make
        self._asked: dict[str, list[asyncio.Future[Page]]] = {}

    async def page(self, accept: str) -> Page:
        """Return a page that is made from now on."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Page] = loop.create_future()
        if accept not in self._asked:
            self._asked[accept] = []
            loop.call_soon(self._answer, accept)
        self._asked[accept].append(future)
        return await future

    def _answer(self, accept: str) -> None:
        waiting = self._asked.pop(accept)
        try:
            page = self._make(accept)
        except Exception as error:  # whoever asked hears of it
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
        else:
            self._hand_out(page, waiting)

    def _hand_out(self, page: Page, waiting: Sequence[asyncio.Future[Page]]) -> None:
        for future in waiting[:_AT_ONCE]:
            if not future.done():
                future.set_result(page)
        if rest := waiting[_AT_ONCE:]:
            asyncio.get_running_loop().call_soon(self._hand_out, page, rest)
