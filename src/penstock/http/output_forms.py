"""The forms in which a caller wants its outputs."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class OutputForms:
    """How the caller wants its outputs."""

    all_binary: bool = False
    """Whether outputs that are not asked for by name are binary."""
    binary: dict[str, bool] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    """The k of the classification extension."""

    def is_binary(self, name: str) -> bool:
        """Tell whether the output travels as raw bytes."""
        return self.binary.get(name, self.all_binary)

    def are_raw(self, names: Iterable[str]) -> bool:
        """Tell whether all of these outputs travel as raw bytes, as they are."""
        return not any(self.classes.values()) and all(map(self.is_binary, names))
