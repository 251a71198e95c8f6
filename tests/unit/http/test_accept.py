"""What form of an answer a client likes best."""

import pytest

from penstock.http.accept import prefers_html

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "TEXT/HTML", "text/html;charset=utf-8, application/json;q=0.5"])
def test_browsers_get_html(accept: str) -> None:
    """HTML is named, and nothing that JSON could be is liked as much."""
    assert prefers_html(accept)


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "application/json", "text/*", "text/html;q=0", "text/html;q=x", "text/html;q=0.4, application/*;q=0.5", "text/html, */*"],
)
def test_programs_get_json(accept: str) -> None:
    """Whoever takes anything, likes both as much or says nothing at all is a program."""
    assert not prefers_html(accept)
