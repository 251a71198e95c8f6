"""Whether a server at rest has brought every prediction that it received to one end."""

import re
import time
from collections import Counter
from typing import Final

from scenario_server import Server

_PATIENCE_S: Final = 10.0
_PAUSE_S: Final = 0.1
_AT_WORK: Final = re.compile(r"^penstock_requests_(?:waiting|running)\{[^}]*\} (\S+)$", re.MULTILINE)


def imbalance(server: Server) -> str:
    """Return what is wrong with the ledger, empty if nothing is; waits a while for what is still under way."""
    until = time.monotonic() + _PATIENCE_S
    while (found := _imbalance(server)) and time.monotonic() < until:
        time.sleep(_PAUSE_S)
    return found


def received(server: Server) -> int:
    """Return how many predictions the server has received."""
    return server.ledger()[0].total()


def _imbalance(server: Server) -> str:
    came, ended = server.ledger()
    ends = Counter[tuple[str, str]]()
    for (protocol, model, _), count in ended.items():
        ends[protocol, model] += count
    if +came != +ends:
        return f"the ledger does not balance: received {dict(came)}, ended {dict(ends)}"
    at_work = sum(map(float, _AT_WORK.findall(server.metrics())))
    return f"{at_work:g} requests or runs are under way in a server that nobody asks" if at_work else ""
