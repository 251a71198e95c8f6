"""The page of the latest batches, in a real browser, over a server that says what a test wants it to say."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from browser import Browse, needs_chromium
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from penstock.http.accept import prefers_html
from penstock.http.static import asset, asset_route, page

BATCH: Final[dict[str, Any]] = {
    "at": 1_795_483_525.366,
    "reason": "full",
    "device": "cpu",
    "lane": 1,
    "rows": 7,
    "padded_rows": 1,
    "length": None,
    "padding": 1,
    "requests": 5,
    "waited_ms": 0.5,
    "predicted_ms": 2.0,
    "real_ms": 2.5,
    "error_percent": 25.0,
    "inline": False,
    "failed": False,
}
UNKNOWN: Final = BATCH | {"predicted_ms": None, "error_percent": None, "inline": True, "failed": True}
SUMMARY: Final[dict[str, Any]] = {"batches": 2, "failed": 1, "mean_rows": 7.0, "share": {"full": 1.0}, "error_percent": 25.0}
MARKUP: Final = "<img src=x onerror=alert(1)>"

ServeApp = Callable[[Starlette], str]


def stand_in(name: str, *versions: dict[str, Any]) -> Starlette:
    """Return an admin listener of one model, whose token is `secret`."""

    async def batches(request: Request) -> Response:
        if prefers_html(request.headers["accept"]):
            return page(asset("batches.html"))
        if request.headers.get("authorization") != "Bearer secret":
            return JSONResponse({"error": f"no token but {MARKUP}", "code": "UNAUTHENTICATED"}, 401)
        wanted = request.query_params.get("version")
        return JSONResponse({"name": name, "versions": [each for each in versions if wanted in (None, each["version"])]})

    names = ("docs.css", "batches.css", "batches.js", "dom.js", "server.js")
    return Starlette(routes=[Route("/admin/models/m/batches", batches), *(asset_route(f"/admin/assets/{file}", file) for file in names)])


def version(number: str, *batches: dict[str, Any], **summary: Any) -> dict[str, Any]:
    """Return what is told of one version."""
    return {"version": number, "summary": SUMMARY | summary, "batches": list(batches)}


@needs_chromium
def test_page_shows_every_batch_under_its_summary(serve_app: ServeApp, browse: Browse) -> None:
    """Shares, means and the table, for each version; a version that has run nothing says so."""
    shown = browse(serve_app(stand_in("m", version("1", BATCH, UNKNOWN), version("2"))) + "/admin/models/m/batches#token=secret")

    text = shown.texts["versions"]
    assert shown.texts["model-name"] == "m"
    assert "mean rows7.00median |error|25.0 %" in text
    assert "full100.0 %" in text
    assert "01:25:25.366fullcpu 17150.5002.0002.50025.0threadok" in text
    assert "fullcpu 17150.500–2.500–inlinefailed" in text
    assert "Version 2Nothing has run yet." in text
    assert not shown.complaints


@needs_chromium
def test_page_asks_for_the_version_in_its_address(serve_app: ServeApp, browse: Browse) -> None:
    """A link may name a version; the other is not shown."""
    address = serve_app(stand_in("m", version("1", BATCH), version("2", BATCH)))
    shown = browse(f"{address}/admin/models/m/batches?version=2#token=secret")

    assert "Version 2" in shown.texts["versions"]
    assert "Version 1" not in shown.texts["versions"]


@needs_chromium
@pytest.mark.parametrize(("token", "problem"), [("", False), ("#token=wrong", True)], ids=["none", "wrong"])
def test_page_asks_for_the_token(serve_app: ServeApp, browse: Browse, token: str, *, problem: bool) -> None:
    """Without one nothing of the model is there; a wrong one is told to be wrong."""
    shown = browse(serve_app(stand_in("m", version("1", BATCH))) + f"/admin/models/m/batches{token}")

    assert "versions" not in shown.texts
    assert "Admin token" in shown.texts["key-box"]
    assert ("UNAUTHENTICATED" in shown.texts.get("problem", "")) is problem
    assert "img" not in shown.tags


@needs_chromium
def test_names_stay_text(serve_app: ServeApp, browse: Browse) -> None:
    """Markup in what the server says is shown as it is written."""
    batch = BATCH | {"reason": MARKUP, "device": MARKUP}
    shown = browse(serve_app(stand_in(MARKUP, version(MARKUP, batch, share={MARKUP: 1.0}))) + "/admin/models/m/batches#token=secret")

    assert shown.texts["model-name"] == MARKUP
    assert shown.texts["versions"].count(MARKUP) == 4
    assert "img" not in shown.tags
    assert not shown.complaints
