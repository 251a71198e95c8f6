"""Worker threads of one device."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

Task = Callable[[], None]


class DevicePool:
    """A fixed number of threads that take tasks in order. Tasks must not raise.

    A thousand models share it: lanes are permits, not threads. `concurrent.futures` would add a future and a lock per task.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"penstock-{name}-{index}", daemon=True) for index in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> None:
        """Run the task on the next free thread; never blocks."""
        self._tasks.put(task)

    def close(self) -> None:
        """End the threads after the tasks already submitted; blocks until they have ended."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
