"""A real browser that opens a page and tells what it shows at the end."""

import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

CHROMIUM: Final = Path("/usr/bin/chromium")
OPTIONS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=10000",
    "--dump-dom",
)
BROKEN: Final = ("Uncaught", "Content Security Policy", "TrustedHTML", "TrustedScript", "SyntaxError", "Failed to load")
"""What the console says of a page that does not do as it should."""
_VOID: Final = frozenset({"meta", "link", "input", "rect", "path"})

needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}: apt-get install chromium")


class Page(HTMLParser):
    """What the browser shows at the end: the text of each element that has an id, and what its console said."""

    def __init__(self, source: str, console: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.tags: set[str] = set()
        self.console = [line for line in console.splitlines() if "CONSOLE" in line]
        self._open: list[str | None] = []
        self.feed(source)

    @property
    def complaints(self) -> list[str]:
        """What the console says of things that went wrong."""
        return [line for line in self.console if any(word in line for word in BROKEN)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element; void elements hold no text."""
        self.tags.add(tag)
        if tag not in _VOID:
            self._open.append(dict(attrs).get("id"))

    def handle_endtag(self, tag: str) -> None:
        """Leave the element."""
        if tag not in _VOID:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        """Add the text to every open element that has an id."""
        for name in filter(None, self._open):
            self.texts[name] = self.texts.get(name, "") + data


Browse = Callable[[str], Page]
"""Opens an address and waits until nothing moves any more."""


def browse_with(profile: Path, address: str) -> Page:
    """Return what the browser shows at an address; its files go to `profile`."""
    command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={profile}", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return Page(done.stdout, done.stderr)
