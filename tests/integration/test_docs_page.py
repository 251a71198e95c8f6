"""The page at /docs, in a real browser."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from browser import Browse, needs_chromium
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from penstock.http.docs import routes
from penstock.http.static import CONTENT_SECURITY_POLICY


def stand_in(name: str, tensor: str = "features") -> Starlette:
    """A server of one model that answers as Penstock does, as far as the page can see."""

    async def models(_: Request) -> Response:
        return JSONResponse({"models": [name]})

    async def metadata(request: Request) -> Response:
        if request.path_params["model"] != name:
            error = f"the model {request.path_params['model']!r} is not known"
            return JSONResponse({"error": error, "code": "NOT_FOUND"}, 404)
        inputs = [{"name": tensor, "datatype": "FP32", "shape": [-1, 4]}]
        outputs = [{"name": "label", "datatype": "INT64", "shape": [-1]}]
        return JSONResponse({"name": name, "versions": ["1", "2"], "inputs": inputs, "outputs": outputs})

    async def infer(request: Request) -> Response:
        version = request.path_params.get("version", "2")
        (given,) = (await request.json())["inputs"]
        output = {"name": "label", "datatype": "INT64", "shape": given["shape"][:1], "data": [0]}
        headers = {"penstock-model-version": version, "server-timing": "compute;dur=0.1, total;dur=0.2"}
        answer = {"model_name": name, "model_version": version, "outputs": [output]}
        return JSONResponse(answer, headers=headers)

    async def anything(_: Request) -> Response:
        return JSONResponse([])

    model = "/v2/models/{model}"
    return Starlette(
        routes=[
            *routes("0.0.0"),
            Route("/v2/models", models),
            *(Route(path, metadata) for path in (model, f"{model}/versions/{{version}}")),
            *(Route(f"{path}/infer", infer, methods=["POST"]) for path in (model, f"{model}/versions/{{version}}")),
            Route("/{path:path}", anything, methods=["GET", "POST"]),
        ]
    )


@pytest.fixture(name="base_url", scope="module")
def _base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server of the example registry."""
    home = tmp_path_factory.mktemp("server")
    ready, script = home / "ready.json", Path(sys.executable).with_name("penstock")
    command = [script, "serve", "--registry", "examples/registry", "--ready-file", ready, "--set", f"server.state_dir={home}"]
    ports = [word for name in ("http", "grpc", "admin") for word in (f"--{name}-port", "0")]
    with subprocess.Popen([*command, *ports], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not ready.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        yield f"http://{json.loads(ready.read_text())['addresses']['http']}"
        process.terminate()


@needs_chromium
def test_page_lists_models_and_shows_the_chosen_one(base_url: str, browse: Browse) -> None:
    """A link to a model shows what it takes and gives, a request that fits, and the same for curl."""
    page = browse(base_url + "/docs#model=iris")

    assert "iris" in page.texts["models"]
    assert page.texts["model-name"] == "iris"
    assert page.texts["inputs"] == "featuresFP32[-1, 4]"
    assert "labelINT64[-1]" in page.texts["outputs"]
    assert page.texts["path"] == "/v2/models/iris/infer"
    assert '"shape":[1,4],"data":[0.1,0.2,0.3,0.4]' in page.texts["curl"]
    assert "status" not in page.texts


@needs_chromium
def test_page_sends_the_sample_and_shows_the_answer(base_url: str, browse: Browse) -> None:
    """The request that the page makes up is one that the server answers."""
    page = browse(base_url + "/docs#model=iris&run=1")

    assert page.texts["status"].startswith("200 OK")
    assert '"model_name": "iris"' in page.texts["answer"]
    assert "compute" in page.texts["timing"]
    assert page.texts["facts"].startswith("version")


@needs_chromium
def test_page_asks_the_version_in_the_link(base_url: str, browse: Browse) -> None:
    """A link may name a version; that one is described and asked."""
    page = browse(base_url + "/docs#model=iris&version=1&run=1")

    assert page.texts["path"] == "/v2/models/iris/versions/1/infer"
    assert '"model_version": "1"' in page.texts["answer"]


@needs_chromium
def test_page_shows_what_the_server_says_of_an_unknown_model(base_url: str, browse: Browse) -> None:
    """A wrong link ends in the server's own words, not in an empty page."""
    page = browse(base_url + "/docs#model=nobody")

    assert "nobody" in page.texts["model-problem"]
    assert "NOT_FOUND" in page.texts["model-problem"]


@needs_chromium
def test_page_lists_every_operation(base_url: str, browse: Browse) -> None:
    """The lower part of the page is the OpenAPI document."""
    page = browse(base_url + "/docs")

    assert "POST/v2/models/{model}/infer" in page.texts["operations"]
    assert "GET/v2/health/ready" in page.texts["operations"]


@needs_chromium
def test_page_keeps_its_own_policy(base_url: str, browse: Browse) -> None:
    """Nothing that the page does, sending included, is refused by the policy it is served with."""
    page = browse(base_url + "/docs#model=iris&run=1")

    assert not page.complaints


@needs_chromium
def test_names_of_a_model_stay_text(serve_app: Callable[[Starlette], str], browse: Browse) -> None:
    """Markup in the name of a model or a tensor is shown as it is written."""
    markup = "<img src=x onerror=alert(1)>"
    page = browse(serve_app(stand_in(markup, tensor=markup)) + "/docs")

    assert markup in page.texts["models"]
    assert page.texts["model-name"] == markup
    assert markup in page.texts["inputs"]
    assert "img" not in page.tags


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/docs.css", "text/css; charset=utf-8"),
        ("/docs/docs.js", "text/javascript; charset=utf-8"),
        ("/openapi.json", "application/json"),
    ],
)
def test_files_come_with_their_type_and_the_policy(base_url: str, path: str, content_type: str) -> None:
    """Every file of the page says what it is and what it may do."""
    with urlopen(base_url + path) as answer:
        headers = answer.headers

    assert headers["content-type"] == content_type
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"
