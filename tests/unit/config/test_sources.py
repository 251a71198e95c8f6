"""Keys and values as people type them."""

import pytest

from penstock.config.errors import ConfigError
from penstock.config.settings import ServerOptions, is_loopback
from penstock.config.sources import parse_assignment, parse_key, read_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("0.5", 0.5),
        ("true", True),
        ("True", "True"),
        ('"5"', "5"),
        ("'5'", "5"),
        ("[1, 2]", [1, 2]),
        ("{a = 1}", {"a": 1}),
        ("latest:2", "latest:2"),
        ("/srv/models", "/srv/models"),
        ("", ""),
        ("a\nb = 1", "a\nb = 1"),
        ("1\nb = 2", "1\nb = 2"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_value_is_read_as_toml_else_is_text(text: str, value: object) -> None:
    """What is no TOML value is the text itself; what would be more than one value is no value."""
    assert read_value(text) == value


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("server.http_port=9000", "server.http_port", "9000"),
        ("registry.uri=s3://b?x=1", "registry.uri", "s3://b?x=1"),
        ("server.host = 0.0.0.0", "server.host", "0.0.0.0"),
        ('models."a.b".slo_ms=5', 'models."a.b".slo_ms', "5"),
        ("a=", "a", ""),
    ],
)
def test_assignment_is_split_at_the_first_equals_sign(text: str, key: str, value: str) -> None:
    """What stands before the first equals sign is the key, the rest is the value."""
    assert parse_assignment(text) == (key, value)


@pytest.mark.parametrize("text", ["server.http_port", "=5", "a..b=5", "a b=5", ""])
def test_assignment_without_key_or_equals_sign_is_refused(text: str) -> None:
    """What is no assignment is told as such."""
    with pytest.raises(ConfigError, match="--set"):
        parse_assignment(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [("a", ("a",)), ("a.b", ("a", "b")), ('models."a.b".c', ("models", "a.b", "c")), ("a . 'b'", ("a", "b"))],
)
def test_key_is_read_as_in_toml(text: str, path: tuple[str, ...]) -> None:
    """Dots part a key, quotes keep them together."""
    assert parse_key(text) == path


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("example.org", False),
    ],
)
def test_loopback_is_told_from_what_others_reach(host: str, local: bool) -> None:
    """Only addresses of this machine to itself, and localhost, are loopback."""
    assert is_loopback(host) is local


@pytest.mark.parametrize(("host", "announce_s", "seconds"), [("127.0.0.1", "auto", 0), ("0.0.0.0", "auto", 5), ("::1", 2.0, 2)])
def test_announcement_depends_on_who_can_reach_the_server(host: str, announce_s: float, seconds: float) -> None:
    """The word "auto" means no wait on loopback and five seconds elsewhere; a number means itself."""
    assert ServerOptions(host=host, announce_s=announce_s).announcement_s() == seconds
