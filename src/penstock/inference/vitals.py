"""What looks after the server itself: its connections, its event loop, its memory, and faults beside predictions."""

from collections.abc import Iterable
from typing import Final

from penstock.execution.memory_limit import MemoryLimit
from penstock.inference.admission import Admission
from penstock.inference.memory_pressure import MemoryPressure
from penstock.lifecycle.catalog import ServedModel
from penstock.telemetry.hook_errors import HookErrors
from penstock.telemetry.vitals import Connections, VitalsView
from penstock.telemetry.watchdog import Watchdog


class Vitals:
    """Lives on the event loop; has two threads, which sleep most of the time."""

    def __init__(self, models: Iterable[ServedModel], admission: Admission, shed_memory_above: float) -> None:
        self.hook_errors: Final = HookErrors()
        self.connections: Final = {"http": Connections(), "admin": Connections()}
        """By listener; that of gRPC counts its own where it can."""
        self._models = models
        self._admission = admission
        self._memory: Final = MemoryPressure(admission, shed_memory_above, MemoryLimit())
        self._watchdog: Final = Watchdog()

    def start(self) -> None:
        """Look from now on, after the event loop that runs."""
        self._memory.start()
        self._watchdog.start()

    def close(self) -> None:
        """Look no more."""
        self._watchdog.close()
        self._memory.close()

    def view(self) -> VitalsView:
        """Return what a scrape reads."""
        return VitalsView(
            self.connections,
            self.hook_errors.counts,
            self._watchdog.stalls,
            self._watchdog.stalled_s,
            self._memory.part,
            self._admission.short_of_memory,
            {model.name: bool(model.problem) for model in self._models},
        )
