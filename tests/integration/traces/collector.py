"""A collector that speaks OTLP over HTTP: it keeps every span that it is sent."""

import gzip
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """Answers with `status` and keeps the spans where that is 200; hangs while `gate` is shut."""

    status: int = 200
    gate: threading.Event = field(default_factory=threading.Event)
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        """Keep what was sent."""
        message = ExportTraceServiceRequest.FromString(gzip.decompress(body))
        self.headers.append(headers)
        for group in message.resource_spans:
            self.resources.append(values(group.resource.attributes))
            for scope in group.scope_spans:
                self.spans += scope.spans

    def named(self, name: str, trace_id: str = "") -> list[Span]:
        """Return the spans of a name, of one trace or of all."""
        return [span for span in list(self.spans) if span.name == name and trace_id in ("", span.trace_id.hex())]

    def close(self) -> None:
        """Listen no more."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


def values(attributes: list[KeyValue]) -> dict[str, Any]:
    """Return attributes as a dictionary."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.gate.wait(60)
            if self.path != "/v1/traces":
                self.send_error(404)
                return
            if collector.status == 200:
                collector.take(body, dict(self.headers.items()))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(collector.status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None: ...

    return Handler
