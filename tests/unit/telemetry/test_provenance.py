"""The info series of versions, and the alias in the line of a prediction."""

import io
import json
from collections.abc import Iterator

import pytest

from penstock.domain.errors import InvalidInput
from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest
from penstock.domain.ticket import Ticket
from penstock.telemetry.access_log import AccessLog
from penstock.telemetry.metrics import Metrics, ServerView
from penstock.telemetry.provenance import MOST_ALIASES, Provenance, provenance_samples


class Held:
    """A lease."""

    identity = ModelVersion("m", "3", "d1")

    def release(self) -> None:
        """Do nothing."""


class Nobody:
    """A reply."""

    def answer(self, response: object) -> None:
        """Do nothing."""

    def fail(self, error: object) -> None:
        """Do nothing."""


def test_series_names_bytes_and_aliases() -> None:
    """One sample for each version."""
    versions = [Provenance("m", "3", "d3", ["challenger", "champion"]), Provenance("m", "4", "d4", [])]
    text, _ = Metrics(lambda: ServerView({}, {}, {}), list, lambda: versions).scrape("")
    lines = [line for line in text.decode().splitlines() if line.startswith("penstock_version_info{")]

    assert lines == [
        'penstock_version_info{aliases="challenger,champion",digest="d3",model="m",version="3"} 1.0',
        'penstock_version_info{aliases="",digest="d4",model="m",version="4"} 1.0',
    ]


def test_label_stays_short() -> None:
    """A registry may have any number of aliases; a label may not."""
    names = [f"a{number:02}" for number in range(MOST_ALIASES + 3)]
    [(labels, _)] = provenance_samples([Provenance("m", "1", "d", names)])

    assert labels[3] == ",".join([*names[:MOST_ALIASES], "+3"])


@pytest.mark.parametrize(("lease", "alias"), [(Held(), "champion"), (None, "")])
def test_line_names_version_digest_and_alias(lease: Held | None, alias: str) -> None:
    """The alias only where a version was found."""
    stream = io.StringIO()
    log = AccessLog("all", as_json=True, stream=stream, alias_of=lambda ticket: "" if ticket.request.version else "champion")
    clock: Iterator[int] = iter(range(9))
    ticket = Ticket(InferenceRequest("http", "m", "", []), Nobody(), lambda _: None, lambda: next(clock))
    ticket.lease = lease
    ticket.fail(InvalidInput("wrong"))
    log.observe(ticket, "INVALID_ARGUMENT")
    log.start()
    log.close()

    line = json.loads(stream.getvalue())
    assert (line["version"], line["digest"], line["alias"]) == (("3", "d1", alias) if lease else ("", "", ""))
