"""What an operator should know of the registry, said once."""

import logging
from collections.abc import Collection, Iterator, Sequence

from penstock.registry.source import Snapshot

_log = logging.getLogger(__name__)


class Notices:
    """Writes each sentence to the log when it becomes true; a registry is looked at every few seconds."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def of(self, snapshot: Snapshot, missing: Collection[str], unknown: Sequence[str]) -> None:
        """Tell what is ignored, warned about and wrong in the registry, which models are asked for and missing there, and `unknown`."""
        sentences = [*unknown]
        sentences += [f"the model {name!r} is asked for, but the registry does not have it" for name in sorted(missing)]
        sentences += _sentences(snapshot)
        for sentence in sentences:
            if sentence not in self._said:
                _log.warning("%s", sentence)
        self._said = set(sentences)


def _sentences(snapshot: Snapshot) -> Iterator[str]:
    for ignored in snapshot.ignored:
        yield f"ignored in the registry: {ignored}"
    for listing in snapshot.models.values():
        for warning in listing.warnings:
            yield f"{listing.name}/config.pbtxt: {warning}"
        if listing.problem:
            yield f"{listing.name}: {listing.problem}"
