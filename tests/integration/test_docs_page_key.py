"""The page at /docs on a server that asks for keys: whoever types one can try models, and the page forgets it."""

import json
from collections.abc import Callable
from typing import Final

from browser import Browse, needs_chromium
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from penstock.domain.caller import Action
from penstock.http.docs import routes
from penstock.http.door import CALLER, Doors
from penstock.http.static import asset, page
from penstock.security.access import Access
from penstock.security.keys import Key, digest_of

SECRET: Final = "psk_0123456789abcdefghijklmnopqrstuvwxyz"
TYPIST: Final = """
const $ = (id) => document.getElementById(id);
const until = (held) => new Promise((done) => { const look = () => (held() ? done() : setTimeout(look, 20)); look(); });
const tell = (id, text) => document.body.append(Object.assign(document.createElement("p"), { id, textContent: text }));
await until(() => $("models-problem").textContent);
tell("before", `${$("key-box").open} ${$("models-problem").textContent}`);
$("key").value = "SECRET";
$("key").dispatchEvent(new Event("change"));
await until(() => $("body").value);
$("send").click();
await until(() => $("status").textContent.startsWith("200"));
tell("kept", JSON.stringify([localStorage.length, sessionStorage.length, document.cookie, location.href.includes("SECRET")]));
""".replace("SECRET", SECRET)
"""Does what a user does; it comes from the same address, as the policy of the page wants."""


def keyed_app(names: list[str]) -> Starlette:
    """Return a server of one model behind the real door; `names` gets whose key each prediction came with."""

    async def models(_: Request) -> Response:
        return JSONResponse({"models": ["iris"]})

    async def metadata(_: Request) -> Response:
        tensor = {"name": "X", "datatype": "FP32", "shape": [-1, 2]}
        return JSONResponse({"name": "iris", "versions": ["1"], "inputs": [tensor], "outputs": [tensor]})

    async def infer(request: Request) -> Response:
        names.append(request.scope[CALLER].name)
        return JSONResponse({"model_name": "iris", "model_version": "1", "outputs": []})

    async def typing_page(_: Request) -> Response:
        script = b'<script type="module" src="docs/typist.js"></script></head>'
        return page(asset("docs.html").replace(b"</head>", script))

    async def typist(_: Request) -> Response:
        return page(TYPIST.encode(), "text/javascript")

    served = [
        Route("/docs", typing_page),
        Route("/docs/typist.js", typist),
        *routes("0.0.0"),
        Route("/v2/models", models),
        Route("/v2/models/{model}", metadata),
        Route("/v2/models/{model}/infer", infer, methods=["POST"]),
    ]
    access = Access([Key(name="ann", sha256=digest_of(SECRET), scopes=[Action.PREDICT, Action.READ])])
    return Starlette(routes=served, middleware=Doors(access, ["pages"]).over(served))


@needs_chromium
def test_typed_key_opens_the_models_and_is_kept_nowhere(serve_app: Callable[[Starlette], str], browse: Browse) -> None:
    """Before it the page says what is missing; after it the sample is answered, in the name of the key; the key stays in the page."""
    names: list[str] = []

    shown = browse(serve_app(keyed_app(names)) + "/docs")

    assert shown.texts["before"].startswith("true ")
    assert "UNAUTHENTICATED" in shown.texts["before"]
    assert shown.texts["status"].startswith("200 OK")
    assert names == ["ann"]
    assert "$PENSTOCK_KEY" in shown.texts["curl"]
    assert json.loads(shown.texts["kept"]) == [0, 0, "", False]
    assert not any(SECRET in text for text in shown.texts.values())
    assert not [line for line in shown.complaints if "401" not in line]
