"""What a user may say about logs."""

from typing import Literal

import msgspec


class TelemetryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[telemetry]`."""

    access_log: Literal["errors", "all", "off"] = "errors"
    """Which predictions leave a line in the log."""

    log_format: Literal["auto", "json", "text"] = "auto"
    """"auto" writes text to a terminal and JSON elsewhere."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe line that is written."""
