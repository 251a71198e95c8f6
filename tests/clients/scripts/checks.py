"""What the scripts share: they run a list of checks against running servers and print one verdict for each.

A script is started by `tests/clients/conftest.py` in the clients' environment, with one argument: JSON that says where the
servers are. Its last line of output is JSON too: for each check, null or the traceback of its failure.
"""

import asyncio
import contextlib
import inspect
import json
import sys
import traceback
from collections.abc import Iterator
from types import SimpleNamespace

TOLD = json.loads(sys.argv[1])
EXAMPLES = SimpleNamespace(**TOLD["examples"])
CONFORMANCE = SimpleNamespace(**TOLD["conformance"])
VARIANT = TOLD["variant"]


def run(names: dict[str, object]) -> None:
    """Run every function of a module whose name starts with `check_`, and print the verdicts."""
    verdicts = {name: _verdict(check) for name, check in names.items() if name.startswith("check_")}
    print(json.dumps(verdicts))


def _verdict(check) -> str | None:
    try:
        outcome = check()
        if inspect.isawaitable(outcome):
            asyncio.run(_limited(outcome))
    except Exception:
        return traceback.format_exc()
    return None


async def _limited(outcome) -> None:
    async with asyncio.timeout(60):
        await outcome


@contextlib.contextmanager
def raises(kind: type[Exception]) -> Iterator[SimpleNamespace]:
    """Expect an exception; the value says which it was."""
    caught = SimpleNamespace(error=None)
    try:
        yield caught
    except kind as error:
        caught.error = error
    assert caught.error is not None, f"{kind.__name__} was expected"
