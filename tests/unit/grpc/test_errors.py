"""The table of statuses."""

import grpc
import pytest

from penstock.domain.errors import ErrorCode, InvalidInput, Overloaded, PenstockError, TooLarge, Unavailable
from penstock.grpc.errors import STATUS_OF, Status, details_of, retry_metadata


def test_every_error_code_has_a_status() -> None:
    """The table is total, and no error is a success."""
    assert set(STATUS_OF) == set(ErrorCode)
    assert Status.OK not in STATUS_OF.values()


@pytest.mark.parametrize("status", Status, ids=lambda status: status.name)
def test_status_has_the_number_that_grpc_gives_it(status: Status) -> None:
    """Names and numbers are gRPC's own."""
    assert grpc.StatusCode[status.name].value[0] == status


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.OVERLOADED, Status.RESOURCE_EXHAUSTED),
        (ErrorCode.TOO_LARGE, Status.RESOURCE_EXHAUSTED),
        (ErrorCode.MODEL_FAILED, Status.INTERNAL),
        (ErrorCode.METHOD_NOT_ALLOWED, Status.UNIMPLEMENTED),
        (ErrorCode.UNSUPPORTED_ENCODING, Status.UNIMPLEMENTED),
    ],
)
def test_code_without_a_namesake_maps_to(code: ErrorCode, status: Status) -> None:
    """Codes that gRPC does not know by name go to the status that its clients understand."""
    assert STATUS_OF[code] is status


@pytest.mark.parametrize("code", [code for code in ErrorCode if code.name in Status.__members__])
def test_code_with_a_namesake_maps_to_it(code: ErrorCode) -> None:
    """Codes that gRPC knows keep their name."""
    assert STATUS_OF[code].name == code.name


@pytest.mark.parametrize(
    ("error", "trailing"),
    [
        (Overloaded("full", retry_after_s=2.5), (("grpc-retry-pushback-ms", "2500"),)),
        (Overloaded("full"), (("grpc-retry-pushback-ms", "1000"),)),
        (Unavailable("loading"), ()),
        (TooLarge("large"), ()),
    ],
    ids=["told", "default", "unavailable", "too-large"],
)
def test_overload_alone_pushes_retries_back(error: PenstockError, trailing: tuple[tuple[str, str], ...]) -> None:
    """A client's retry policy waits as long as the server computed."""
    assert retry_metadata(error) == trailing


def test_long_message_is_cut() -> None:
    """Details stay below what clients take in a trailer, even if each character is escaped."""
    details = details_of(InvalidInput("é" * 10_000))

    assert 2040 < len(details.encode()) <= 2048
    assert details.endswith("é...")


def test_short_message_is_whole() -> None:
    """The details are the message."""
    assert details_of(InvalidInput("no such input")) == "no such input"
