"""Pages of metrics, made once for all who ask for them at the same time."""

import asyncio
from collections.abc import Callable
from typing import Final

Page = tuple[bytes, str]
"""The body, and its content type."""


class Pages:
    """Lives on the event loop: a hundred scrapers who ask at once cost it one page, and nobody gets one from before the question."""

    def __init__(self, make: Callable[[str], Page]) -> None:
        """`make` returns the page for an Accept header; it blocks the loop for as long as it takes to count everything."""
        self._make: Final = make
        self._asked: dict[str, asyncio.Future[Page]] = {}

    async def page(self, accept: str) -> Page:
        """Return a page that is made from now on."""
        asked = self._asked.get(accept)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = self._asked[accept] = loop.create_future()
            loop.call_soon(self._answer, accept)
        return await asyncio.shield(asked)

    def _answer(self, accept: str) -> None:
        asked = self._asked.pop(accept)
        try:
            asked.set_result(self._make(accept))
        except Exception as error:  # whoever asked hears of it
            asked.set_exception(error)
