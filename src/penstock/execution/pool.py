"""Worker threads of one device."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic_ns
from typing import Final

Task = Callable[[], None]
_HOPS: Final = 101


class DevicePool:
    """A fixed number of threads that take tasks in order. Tasks must not raise.

    A thousand models share it: lanes are permits, not threads. `concurrent.futures` would add a future and a lock per task.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"penstock-{name}-{index}", daemon=True) for index in range(threads)]
        for thread in self._threads:
            thread.start()
        self.hop_ns = self._measured_hop_ns()
        """What it takes a task to reach a thread and its end to be heard of, in nanoseconds, as measured at the start."""

    def submit(self, task: Task) -> None:
        """Run the task on the next free thread; never blocks."""
        self._tasks.put(task)

    def close(self) -> None:
        """End the threads after the tasks already submitted; blocks until they have ended."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _measured_hop_ns(self) -> int:
        """Return the median time from here to a thread and back; blocks for some milliseconds.

        A lock stands for the event loop, which has to be woken in the same way.
        """
        times = []
        for _ in range(_HOPS):
            back = threading.Event()
            started = monotonic_ns()
            self.submit(back.set)
            back.wait()
            times.append(monotonic_ns() - started)
        return sorted(times)[_HOPS // 2]

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
