"""One recorded row as it is read back."""

from typing import Any

Row = dict[str, Any]
"""One line, as JSON has it; its tensors are cells, see `array_of`."""


class UnreadableRow(ValueError):
    """A sealed file holds a line that is no row; the message says where."""
