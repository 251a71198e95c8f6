"""`penstock` with faults at a test's word: `python ailing_server.py serve`.

SIGUSR1 keeps the event loop for two seconds. As long as a file of that name is in the working directory: `hooks`, everybody who only
looks on at predictions raises; `middleware`, what stands before the routes does; `interceptor`, what stands before gRPC's methods; `codec`,
what reads a prediction over HTTP.
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from penstock.cli.main import main
from penstock.grpc.methods import Methods
from penstock.http.call import PredictionCall
from penstock.http.hosts import HostCheck
from penstock.inference.watch import Watch
from penstock.monitoring.version_watch import VersionWatch
from penstock.payloads.recording import Recording
from penstock.telemetry.access_log import AccessLog

BLOCKED_S: Final = 2


def hold_the_loop(*_: object) -> None:
    """Block, as a call does that somebody has forgotten to move to a thread."""
    time.sleep(BLOCKED_S)


def failing(cause: str, sound: Callable[..., Any]) -> Callable[..., Any]:
    """Return the call, which raises while the file is there."""

    def call(*arguments: Any, **options: Any) -> Any:
        if Path(cause).exists():
            raise RuntimeError(f"a fault of {sound}")
        return sound(*arguments, **options)

    return call


_unary = Methods.unary


def intercepted(self: Methods, path: str) -> Any:
    """Return the handler of a path behind what raises while the file is there."""
    handler = _unary(self, path)
    return None if handler is None else failing("interceptor", handler)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, hold_the_loop)
    for watcher, method in ((AccessLog, "observe"), (Recording, "__call__"), (VersionWatch, "__call__"), (Watch, "__call__")):
        setattr(watcher, method, failing("hooks", getattr(watcher, method)))
    HostCheck.__call__ = failing("middleware", HostCheck.__call__)  # type: ignore[method-assign]
    PredictionCall.decode = failing("codec", PredictionCall.decode)  # type: ignore[method-assign]
    Methods.unary = intercepted  # type: ignore[method-assign]
    main()
