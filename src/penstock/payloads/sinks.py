"""From the settings to the sink that they name."""

from pathlib import Path

from penstock.domain.start import StartError
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.options import PayloadOptions
from penstock.payloads.sink import Sink


def sink_of(options: PayloadOptions, state_dir: Path, *, check: bool) -> Sink:
    """Return the sink; with `check` its directory is made and tried at once. Raises `StartError`."""
    directory = options.directory(state_dir)
    try:
        return JsonLinesSink(directory, options, check=check)
    except OSError as error:
        raise StartError(f"payloads cannot be recorded in {directory}: {error.strerror}; set payloads.dir") from error
