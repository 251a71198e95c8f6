"""Publishes again and again, and is killed at another point each time: `publish_and_die.py URI DIRECTORY MOST`.

Every call into the operating system or the object store's client is a point, before it and after it. The profiler counts
them, so the product knows nothing of it. Each publisher is a fork of this process, publishes into a model of its own, and
ends itself with SIGKILL; this process itself has no client before all forks are done, for its threads would not be forked. Prints one JSON object: how many points there are, and what was found wrong afterwards.
"""

import io
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import obstore.exceptions
import obstore.store  # noqa: F401 - what is imported late is not worth a point

from penstock.registry.candidate import candidate_of
from penstock.registry.options import RegistryOptions
from penstock.registry.publisher import Labels, publish
from penstock.registry.publishers import publisher_of
from penstock.registry.sources import registry_of, source_of

MODULES = ("posix", "fcntl", "_io", "obstore._obstore")


def main(uri: str, directory: str, most: int) -> None:
    """Kill so many publishers: at points that are spread over the whole of it, and once all are used up, at random moments."""
    points, duration_s = counted(uri, directory)
    dice = random.Random(5)
    chosen = sorted(dice.sample(range(1, points + 1), min(most, points)))
    for point in chosen:
        assert in_fork(lambda point=point: publish_until(uri, directory, f"m{point}", point)) == -signal.SIGKILL
    models = [f"m{point}" for point in chosen]
    for moment in range(most - len(chosen)):
        models.append(f"t{moment}")
        in_fork(lambda: publish_until(uri, directory, models[-1], 0), killed_after_s=dice.uniform(0, duration_s))
    again = in_fork(lambda: publish_until(uri, directory, models[len(models) // 2], 0))
    print(json.dumps({"points": points, "killed": len(models), "published_afterwards": again == 0, **check(uri, models)}))


def counted(uri: str, directory: str) -> tuple[int, float]:
    """Return how many points there are, and how many seconds publishing takes."""
    reader, writer = os.pipe()

    def work() -> None:
        seen = publish_until(uri, directory, "counted", 0)
        os.write(writer, str(seen).encode())

    began = time.monotonic()
    assert in_fork(work) == 0
    return int(os.read(reader, 20)), time.monotonic() - began


def publish_until(uri: str, directory: str, model: str, point: int) -> int:
    """Publish, and end this process at the point; 0 ends it nowhere. Returns how many points were passed."""
    candidate = candidate_of(Path(directory), "model.onnx", lambda _total: nullcontext(lambda _bytes: None))
    publisher = publisher_of(source_of(RegistryOptions(uri=uri), os.environ))
    seen = 0

    def look(_frame: object, event: str, what: object) -> None:
        nonlocal seen
        if event in ("c_call", "c_return") and is_outside(what):
            seen += 1
            if seen == point:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(look)
    try:
        publish(publisher, model, candidate, Labels(), lambda _bytes: None)
    finally:
        sys.setprofile(None)
    return seen


def is_outside(what: object) -> bool:
    """Tell whether a function is one of the operating system's, of a file, or of the object store's client."""
    owner = getattr(what, "__self__", None)
    return isinstance(owner, io.IOBase) or getattr(what, "__module__", None) in MODULES or type(owner).__module__.startswith("obstore")


def in_fork(work: Callable[[], object], killed_after_s: float | None = None) -> int:
    """Return the exit status of a fork that does the work: below 0, the signal that ended it."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    if killed_after_s is not None:
        time.sleep(killed_after_s)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def check(uri: str, names: list[str]) -> dict[str, object]:
    """Return what is listed, and which of it does not hold what its manifest says."""
    with TemporaryDirectory() as cache:
        registry = registry_of(RegistryOptions(uri=uri, cache_dir=cache), Path(cache), os.environ)
        snapshot = registry.snapshot()
        broken, listed = [], 0
        for name in names:
            model = snapshot.models.get(name)
            for version in model.versions.values() if model else ():
                listed += 1
                try:
                    registry.open(model, version).close()
                except Exception as error:
                    broken.append(f"{name}/{version.number}: {error}")
                if model.settings.get("max_batch_rows") != 8:
                    broken.append(f"{name}/{version.number} has no config.pbtxt")
                if not version.complete:
                    broken.append(f"{name}/{version.number} has no manifest")
    return {"listed": listed, "broken": broken, "ignored": list(snapshot.ignored)}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
