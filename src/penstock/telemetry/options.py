"""What a user may say about logs and traces."""

from typing import Literal

import msgspec


class TelemetryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[telemetry]`."""

    access_log: Literal["errors", "all", "off"] = "errors"
    """Which predictions leave a line in the log."""

    log_callers: bool = True
    """Whether these lines name whose key or token a prediction came with; never what was shown."""

    log_format: Literal["auto", "json", "text"] = "auto"
    """"auto" writes text to a terminal and JSON elsewhere."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe line that is written."""

    otlp_endpoint: str = ""
    """The collector that traces go to over OTLP/HTTP, such as http://127.0.0.1:4318; "": none are made. Needs the extra `otel`."""

    trace_ratio: float = 0.01
    """Which part of the predictions begins a trace. A caller that is in a trace decides by its own flag instead."""

    trace_timeout_s: float = 10.0
    """Seconds after which the collector is given up, and the traces that it was being sent."""

    service_name: str = "penstock"
    """What the server is called in traces."""
