"""How an MLflow server is named, and what is refused before it is asked."""

from pathlib import Path

import pytest

from penstock.registry.mlflow_access import access_of, elsewhere
from penstock.registry.source import RegistryUnreachable


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mlflow+http://host", "http://host"),
        ("mlflow+https://host:5000/", "https://host:5000"),
        ("mlflow+https://host/team/mlflow/", "https://host/team/mlflow"),
        ("mlflow+http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_address(uri: str, address: str) -> None:
    """A prefix is kept, a slash at the end is not."""
    assert access_of(uri, {}).address == address


@pytest.mark.parametrize(
    "uri",
    ["mlflow+ftp://host", "mlflow+http://", "mlflow+http://host:0", "mlflow+http://host:port", "mlflow+http://h?a=b", "mlflow+http://h#x"],
)
def test_odd_address_is_refused(uri: str) -> None:
    """With the form that it must have."""
    with pytest.raises(RegistryUnreachable, match=r"is not of the form mlflow\+http\(s\)://host"):
        access_of(uri, {})


def test_credentials_in_the_uri_are_refused() -> None:
    """Unrepeated, and with the variables that they belong into."""
    with pytest.raises(RegistryUnreachable, match="set MLFLOW_TRACKING_TOKEN") as refused:
        access_of("mlflow+http://ann:passw0rd@host", {})

    assert "passw0rd" not in str(refused.value)


@pytest.mark.parametrize("token", ["a\nb", "t\u00f6ken", "a\x00"])
@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_TOKEN", "MLFLOW_WORKSPACE"])
def test_token_that_no_header_can_carry_is_refused(name: str, token: str) -> None:
    """Unrepeated: the client's own error would repeat it."""
    with pytest.raises(RegistryUnreachable, match=name) as refused:
        access_of("mlflow+http://host", {name: token})

    assert token not in str(refused.value)


def test_half_a_name_and_password_count_for_nothing() -> None:
    """The token is shown then; without one nothing is."""
    alone = {"MLFLOW_TRACKING_USERNAME": "ann"}

    assert access_of("mlflow+http://host", alone).headers == {}
    assert access_of("mlflow+http://host", alone | {"MLFLOW_TRACKING_TOKEN": " t\n"}).headers == {"authorization": "Bearer t"}


def test_credentials_are_not_in_the_representation() -> None:
    """A log that shows the value shows no token."""
    assert "t0ken" not in repr(access_of("mlflow+http://host", {"MLFLOW_TRACKING_TOKEN": "t0ken"}))


@pytest.mark.parametrize("variable", ["MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_CLIENT_CERT_PATH"])
def test_unreadable_certificate_is_named_by_its_variable(tmp_path: Path, variable: str) -> None:
    """And not by its path."""
    (tmp_path / "no.pem").write_text("no certificate")

    for name in ("missing.pem", "no.pem"):
        with pytest.raises(RegistryUnreachable, match=f"{variable}: the certificates cannot be read") as refused:
            access_of("mlflow+https://host", {variable: str(tmp_path / name)})
        assert str(tmp_path) not in str(refused.value)


def test_checking_and_not_checking_contradict_each_other() -> None:
    """As in MLflow's own client."""
    with pytest.raises(RegistryUnreachable, match="contradict"):
        access_of("mlflow+https://host", {"MLFLOW_TRACKING_INSECURE_TLS": "TRUE", "MLFLOW_TRACKING_SERVER_CERT_PATH": "ca.pem"})


def test_another_host_is_shown_nothing() -> None:
    """Its address keeps the scheme and the prefix."""
    there = elsewhere(access_of("mlflow+https://host/ml", {"MLFLOW_TRACKING_TOKEN": "t"}), "other:5001")

    assert (there.address, dict(there.headers)) == ("https://other:5001/ml", {})
