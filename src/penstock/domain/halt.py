"""A switch that ends a run."""

from collections.abc import Callable


class Halt:
    """Ends a run early, from another thread than the one that runs."""

    __slots__ = ("_act", "asked")

    def __init__(self) -> None:
        self.asked = False
        self._act: Callable[[], None] | None = None

    def ask(self) -> None:
        """End the run as soon as the engine can: nobody waits for it."""
        self.asked = True
        if self._act is not None:
            self._act()

    def when_asked(self, act: Callable[[], None]) -> None:
        """Set what ends the run; called at once if that was asked for already."""
        self._act = act
        if self.asked:
            act()
