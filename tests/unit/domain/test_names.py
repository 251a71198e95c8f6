"""What may be a name."""

from collections.abc import Callable

import pytest

from penstock.domain.errors import InvalidInput, NotFound
from penstock.domain.names import (
    MAX_ID_BYTES,
    check_model_name,
    check_reference,
    check_request_id,
    is_alias,
    is_model_name,
    is_version_number,
    shown,
)


@pytest.mark.parametrize("text", ["m", "0", "A.b_c-9", "x" * 128])
def test_plain_file_name_is_a_model_name(text: str) -> None:
    """Letters, digits, dot, underscore and dash, starting with a letter or digit."""
    assert is_model_name(text)
    assert check_model_name(text) == text


@pytest.mark.parametrize("text", ["", ".", "..", "a..b", ".hidden", "-x", "_x", "a/b", "a\\b", "a b", "ä", "a\0", "a\n", "x" * 129, "%2e"])
def test_anything_else_is_no_model_name(text: str) -> None:
    """Nothing with a special meaning to a file system, a URL or a log gets through."""
    assert not is_model_name(text)
    with pytest.raises(InvalidInput, match="is not valid"):
        check_model_name(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", True), ("10", True), ("9" * 18, True)]
    + [(text, False) for text in ("", "0", "01", "-1", "+1", "1.0", "1e3", "٣", "1\n", "9" * 19, "v1", " 1")],
)
def test_version_number_is_digits_without_leading_zero(text: str, number: bool) -> None:
    """Other spellings of a number are none."""
    assert is_version_number(text) is number


@pytest.mark.parametrize(
    ("text", "alias"),
    [(text, True) for text in ("champion", "_a", "a-b_9", "version1", "latests", "x" * 128)]
    + [(text, False) for text in ("", "latest", "LATEST", "v1", "V22", "1a", "-a", "a.b", "ä", "a\n", "x" * 129)],
)
def test_alias_follows_mlflows_rules(text: str, alias: bool) -> None:
    """Letters, digits, underscore and dash, never `latest` and never `v` with digits."""
    assert is_alias(text) is alias


@pytest.mark.parametrize("text", ["", "3", "champion"])
def test_reference_is_empty_a_number_or_an_alias(text: str) -> None:
    """What may name a version is returned as it is."""
    assert check_reference(text) == text


@pytest.mark.parametrize(
    ("text", "error"),
    [(text, InvalidInput) for text in ("0", "01", "-1", "+3", "1.5", "1_0", "latest", "v3", "9" * 19)]
    + [(text, NotFound) for text in ("a.b", "ä", "../1", "a b", "x" * 200)],
)
def test_reference_that_can_never_be_one_is_refused(text: str, error: type[Exception]) -> None:
    """A malformed number is the caller's mistake; other text names nothing."""
    with pytest.raises(error):
        check_reference(text)


def test_request_id_is_short_printable_text() -> None:
    """128 bytes are enough; more, or control characters, are refused with the name of the field."""
    longest = "é" * (MAX_ID_BYTES // 2)

    assert check_request_id(longest, "x-request-id") == longest
    for text in (longest + "x", "a\nb", "a\x00", "\x1b[31m"):
        with pytest.raises(InvalidInput, match="x-request-id"):
            check_request_id(text, "x-request-id")


@pytest.mark.parametrize(
    ("text", "seen"),
    [("a", "'a'"), ("a\nb", r"'a\nb'"), ("ä", r"'\xe4'"), ("x" * 64, f"'{'x' * 64}'"), ("x" * 65, f"'{'x' * 61}...'")],
)
def test_shown_text_is_quoted_escaped_and_short(text: str, seen: str) -> None:
    """A caller's text cannot break a log line, nor fill it."""
    show: Callable[[str], str] = shown

    assert show(text) == seen
