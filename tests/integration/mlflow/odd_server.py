"""A small HTTP server that answers as a test wants: wrongly, late, or as MLflow would behind other doors."""

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import unquote, urlsplit


class Asked(NamedTuple):
    """A request, as far as a test looks at it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[BaseHTTPRequestHandler], None]


class OddServer(ThreadingHTTPServer):
    """Answers by path; the last answer of a path is repeated."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[Asked] = []
        self.ended = threading.Event()
        self.scheme = "http"

    @property
    def uri(self) -> str:
        """What a source is told."""
        return f"mlflow+{self.scheme}://127.0.0.1:{self.server_port}"

    def over_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.scheme = "https"

    def give(self, path: str, *answers: object) -> None:
        """Set what a path answers, in turn: a function that writes, or what becomes JSON."""
        self.answers[path] = [answer if callable(answer) else document(answer) for answer in answers]

    def give_models(self, *models: dict[str, object], versions: list[dict[str, object]]) -> None:
        """Answer the two searches."""
        self.give("/api/2.0/mlflow/registered-models/search", {"registered_models": list(models)})
        self.give("/api/2.0/mlflow/model-versions/search", {"model_versions": versions})

    def give_files(self, files: dict[str, bytes], listed: list[dict[str, object]] | None = None) -> None:
        """Keep the files of every version behind the server itself."""
        self.give("/api/2.0/mlflow/model-versions/get-download-uri", {"artifact_uri": "mlflow-artifacts:/0/m"})
        entries = [{"path": name, "is_dir": False, "file_size": len(content)} for name, content in files.items()]
        self.give("/api/2.0/mlflow-artifacts/artifacts", {"files": entries if listed is None else listed})
        for name, content in files.items():
            self.give(f"/api/2.0/mlflow-artifacts/artifacts/0/m/{name}", data(content))

    def paths(self) -> list[str]:
        """Return what was asked for."""
        return [asked.path for asked in self.asked]

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet: clients leave when they have heard enough."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet: two would wait for the client's acknowledgement
    server: OddServer

    def do_GET(self) -> None:
        """Answer."""
        path, query = urlsplit(self.path)[2:4]
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append(Asked(self.command, unquote(path), query, headers, body))
        answers = self.server.answers.get(unquote(path), [status(404, "RESOURCE_DOES_NOT_EXIST", "it is not there")])
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    do_POST = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def document(value: object) -> Answer:
    """Answer with JSON."""
    return data(json.dumps(value).encode())


def data(content: bytes, code: int = 200, *, length: int | None = None, **headers: str) -> Answer:
    """Answer with bytes; with another `length` the connection ends where they do."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = length is not None

    return answer


def status(code: int, name: str = "", words: str = "", **headers: str) -> Answer:
    """Answer with an error in MLflow's form."""
    return data(json.dumps({"error_code": name, "message": words}).encode(), code, **headers)


def silence(handler: BaseHTTPRequestHandler) -> None:
    """Answer nothing until the test has ended."""
    server = handler.server
    assert isinstance(server, OddServer)
    server.ended.wait(30)
    handler.close_connection = True


@contextlib.contextmanager
def serving_oddly() -> Iterator[OddServer]:
    """Run a server on a free port."""
    server = OddServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
