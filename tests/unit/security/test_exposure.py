"""Which servers do not start, and which are told of."""

import logging
import re

import pytest

from penstock.domain.start import StartError
from penstock.security.exposure import refuse_exposure
from penstock.security.options import JwtOptions, SecurityOptions, TlsOptions, security_problems

OPEN = {"http": "0.0.0.0", "grpc": "0.0.0.0"}
TLS = TlsOptions(certificate="c", key="k")
MUTUAL = TlsOptions(certificate="c", key="k", client_ca="a")
KEYED = SecurityOptions(keys_file="keys.json", tls=TLS)


@pytest.mark.parametrize(
    "options",
    [
        SecurityOptions(),
        SecurityOptions(tls=TLS),
        SecurityOptions(tls=TlsOptions(certificate="c", key="k", client_ca="a", listeners=["http", "admin"])),
    ],
    ids=["nothing", "TLS", "clients of gRPC unknown"],
)
def test_predictions_for_everybody_are_refused(options: SecurityOptions) -> None:
    """Unless it is said that something in front decides, or nobody else can reach them."""
    with pytest.raises(StartError, match="open to whoever"):
        refuse_exposure(OPEN, options, allowed=False)

    refuse_exposure(OPEN, options, allowed=True)
    refuse_exposure({}, options, allowed=False)


@pytest.mark.parametrize("options", [KEYED, SecurityOptions(jwt=JwtOptions(jwks_file="j"), tls=TLS), SecurityOptions(tls=MUTUAL)])
def test_keys_tokens_or_certificates_of_clients_open_a_server(options: SecurityOptions, caplog: pytest.LogCaptureFixture) -> None:
    """Without a word, where they travel under TLS."""
    refuse_exposure(OPEN, options, allowed=False)

    assert not caplog.records


@pytest.mark.parametrize(
    ("reachable", "options", "named"),
    [
        (OPEN, SecurityOptions(keys_file="k"), "grpc .0.0.0.0. and http .0.0.0.0."),
        ({"admin": "::"}, SecurityOptions(), "admin .::."),
        ({**OPEN, "admin": "::"}, KEYED, "admin .::. can"),
    ],
)
def test_keys_in_the_clear_are_told_of(
    reachable: dict[str, str], options: SecurityOptions, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Which listeners, and what to do."""
    with caplog.at_level(logging.WARNING):
        refuse_exposure(reachable, options, allowed=False)

    (record,) = caplog.records
    assert re.search(named, record.getMessage())
    assert "security.tls" in record.getMessage()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (SecurityOptions(jwt=JwtOptions(jwks_file="j", audience="a")), "security.jwt.issuer"),
        (SecurityOptions(jwt=JwtOptions(jwks_file="j", issuer="i")), "security.jwt.audience"),
        (SecurityOptions(jwt=JwtOptions(jwks_file="j", issuer="i", audience="a", algorithms=[])), "security.jwt.algorithms"),
        (SecurityOptions(tls=TlsOptions(certificate="c")), "both certificate and key"),
        (SecurityOptions(tls=TlsOptions(key="k")), "both certificate and key"),
        (SecurityOptions(tls=TlsOptions(client_ca="a")), "client_ca"),
        (SecurityOptions(tls=TlsOptions(certificate="c", key="k", listeners=[])), "listeners"),
    ],
)
def test_settings_that_contradict_each_other_are_told(options: SecurityOptions, told: str) -> None:
    """One problem each."""
    (problem,) = security_problems(options)

    assert told in problem


def test_settings_that_agree_are_fine() -> None:
    """The defaults among them."""
    jwt = JwtOptions(jwks_file="j", issuer="i", audience="a")

    for options in (SecurityOptions(), KEYED, SecurityOptions(jwt=jwt, tls=MUTUAL)):
        assert not list(security_problems(options))
