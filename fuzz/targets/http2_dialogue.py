"""HTTP/2 between a peer and an owner whose choices are the case: frames that mostly make sense, in every order."""

import random
from typing import Any, Final

from dialogue import Dialogue

_MOST_STEPS: Final = 40


class _Drawn(random.Random):
    """Draws what the bytes say, and zeros behind their end."""

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self._data = data
        self.at = 0

    def getrandbits(self, k: int, /) -> int:
        """Return the next bits, from whole bytes."""
        start, self.at = self.at, self.at + (k + 7) // 8
        return int.from_bytes(self._data[start : self.at].ljust(self.at - start, b"\0"), "big") >> (-k % 8)

    def random(self) -> float:
        """Return a number from two bytes."""
        return self.getrandbits(16) / 65_536

    @property
    def spent(self) -> bool:
        """Whether all bytes have been drawn."""
        return self.at >= len(self._data)

    def __reduce__(self) -> Any:
        raise TypeError("nobody copies what is drawn")


def case(data: bytes) -> bool:
    """Let both go on as long as there are bytes; what must hold is looked at after every step."""
    rng = _Drawn(data)
    dialogue = Dialogue(rng)
    dialogue.run(0)
    for _ in range(_MOST_STEPS):
        if rng.spent or dialogue.is_over:
            break
        dialogue.go_on()
    return not dialogue.is_over
