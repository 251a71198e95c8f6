"""Log lines: plain on a terminal, JSON elsewhere, and the settings that clients may read and change."""

import logging
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import orjson

from penstock.domain.errors import InvalidInput, Unimplemented
from penstock.domain.names import shown
from penstock.telemetry.options import TelemetryOptions

ROOT: Final = "penstock"
_LEVELS: Final = {"log_error": logging.ERROR, "log_warning": logging.WARNING, "log_info": logging.INFO}
_FORMATS: Final = ("default", "ISO8601")
_MOST_VERBOSE: Final = (1 << 32) - 1
"""What gRPC's message can tell of."""


class JsonFormatter(logging.Formatter):
    """One JSON object per line; control characters in a message are escaped, so a line is a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class TextFormatter(logging.Formatter):
    """Time, level and message, for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; line breaks in a message are escaped, those of a traceback stay."""
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        line = f"{time} {record.levelname.lower():7} {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def is_json(options: TelemetryOptions) -> bool:
    """Tell whether lines are JSON: asked for, or nobody watches."""
    return options.log_format == "json" or (options.log_format == "auto" and not sys.stderr.isatty())


def set_up_logs(options: TelemetryOptions) -> None:
    """Send Penstock's log lines to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if is_json(options) else TextFormatter())
    logger = logging.getLogger(ROOT)
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(options.log_level.upper())


class LogSettings:
    """The logging extension: what clients may read, and with the token change (Triton, `extension_logging`)."""

    def __init__(self, heard: Callable[[str, str], None] = lambda _, __: None) -> None:
        """`heard` is told of the settings that a request names, before and after it."""
        self._heard = heard
        self._logger = logging.getLogger(ROOT)
        self._usual = self._logger.level
        self._verbose = 0
        self._flags = {name: level >= self._usual for name, level in _LEVELS.items()}
        self._format = "default"

    def as_dict(self) -> dict[str, str | bool | int]:
        """Return all settings."""
        flags = {name: self._logger.isEnabledFor(level) for name, level in _LEVELS.items()}
        return {"log_file": "", **flags, "log_verbose_level": self._verbose, "log_format": self._format}

    def update(self, changes: Mapping[str, object]) -> None:
        """Apply the changes, all or none; a value of None leaves a setting alone.

        Raises `InvalidInput` for an unknown name or a wrong value, `Unimplemented` for what cannot change at run time.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        for name, value in given.items():
            _check(name, value)
        before = self.as_dict()
        self._format = str(given.get("log_format", self._format))
        self._verbose = int(str(given.get("log_verbose_level", self._verbose)))
        self._flags |= {name: bool(given[name]) for name in _LEVELS if name in given}
        self._logger.setLevel(logging.DEBUG if self._verbose else self._level())
        after = self.as_dict()
        self._heard(*(", ".join(f"{name} = {told[name]}" for name in given) for told in (before, after)))

    def _level(self) -> int:
        wanted = min([level for name, level in _LEVELS.items() if self._flags[name]], default=logging.CRITICAL)
        return min(wanted, self._usual) if wanted == logging.INFO else wanted  # a server that was started with debug goes on with it


def _check(name: str, value: object) -> None:
    if name == "log_file":
        raise Unimplemented("log_file cannot be changed while the server runs; lines go to standard error")
    if name in _LEVELS:
        _require(type(value) is bool, name, value, "true or false")
    elif name == "log_verbose_level":
        _require(type(value) is int and 0 <= value <= _MOST_VERBOSE, name, value, f"an integer from 0 to {_MOST_VERBOSE}")
    elif name == "log_format":
        _require(value in _FORMATS, name, value, " or ".join(_FORMATS))
    else:
        raise InvalidInput(f"the log setting {shown(name)} is not known; use log_info, log_warning, log_error, log_verbose_level")


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise InvalidInput(f"the log setting {name} cannot be {shown(repr(value))}; use {expected}")
