"""`penstock`, whose models fail on every input as long as the file `ill` is in the working directory: `python ailing_server.py serve`."""

from pathlib import Path
from typing import Any

from penstock.cli.main import main
from penstock.domain.errors import ModelFailed
from penstock.execution.session import OrtSession

_sound = OrtSession.run


def run(self: OrtSession, *arguments: Any, **options: Any) -> Any:
    """Run, or fail as a broken device does."""
    if Path("ill").exists():
        raise ModelFailed("the device has gone")
    return _sound(self, *arguments, **options)


if __name__ == "__main__":
    OrtSession.run = run  # type: ignore[method-assign]
    main()
