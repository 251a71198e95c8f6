"""Worker threads of one device."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from time import monotonic_ns
from typing import Final

Task = Callable[[], object]
_HOPS: Final = 101
_UNDER_LOAD: Final = 4
"""How much longer a hop takes when the interpreter is busy: the thread waits for it on its way, and the event loop afterwards."""


class DevicePool:
    """A fixed number of threads that take tasks in order. Tasks must not raise.

    A thousand models share it: lanes are permits, not threads. `concurrent.futures` would add a future and a lock per task.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"penstock-{name}-{index}", daemon=True) for index in range(threads)]
        for thread in self._threads:
            thread.start()
        self.hop_ns = 0
        """What a task costs beside itself under load, in nanoseconds; 0 until it is measured."""

    async def measure_hop(self) -> None:
        """Set `hop_ns` by the median time that an empty task takes from an idle event loop to a thread and back."""
        loop, times = asyncio.get_running_loop(), []
        for _ in range(_HOPS):
            back = asyncio.Event()
            started = monotonic_ns()
            self.submit(partial(loop.call_soon_threadsafe, back.set))
            await back.wait()
            times.append(monotonic_ns() - started)
        self.hop_ns = _UNDER_LOAD * sorted(times)[_HOPS // 2]

    def submit(self, task: Task) -> None:
        """Run the task on the next free thread; never blocks."""
        self._tasks.put(task)

    def retire(self) -> None:
        """End the threads after the tasks already submitted, without waiting for them."""
        for _ in self._threads:
            self._tasks.put(None)

    def close(self) -> None:
        """End the threads after the tasks already submitted; blocks until they have ended."""
        self.retire()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
            del task  # an idle thread would keep the batch that it ran last, and the session, though their version may be gone
