"""What an operator should know of the registry, said once."""

import logging

from penstock.registry.source import Snapshot

_log = logging.getLogger(__name__)


class Notices:
    """Writes each sentence to the log the first time it is true; a registry is looked at every few seconds."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def of(self, snapshot: Snapshot) -> None:
        """Tell what is ignored, warned about and wrong in the registry."""
        for sentence in snapshot.ignored:
            self.once(f"ignored in the registry: {sentence}")
        for listing in snapshot.models.values():
            for warning in listing.warnings:
                self.once(f"{listing.name}/config.pbtxt: {warning}")
            if listing.problem:
                self.once(f"{listing.name}: {listing.problem}")

    def once(self, sentence: str) -> None:
        """Write the sentence, unless it was written before."""
        if sentence not in self._said:
            self._said.add(sentence)
            _log.warning("%s", sentence)
