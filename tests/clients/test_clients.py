"""Unmodified clients of Triton and KServe work: each check of `scripts/` is a test here."""

from collections.abc import Callable

import pytest


@pytest.mark.scripts(
    ("triton_common", "http"),
    ("triton_common", "http_aio"),
    ("triton_common", "grpc"),
    ("triton_common", "grpc_aio"),
    ("triton_http", ""),
    ("triton_grpc", ""),
    ("triton_common", "grpc@grpcio"),
    ("triton_common", "grpc_aio@grpcio"),
    ("triton_grpc", "@grpcio"),
    ("kserve_clients", "@grpcio"),
    ("kserve_clients", ""),
    ("one_process", ""),
)
def test_unmodified_client_gets_what_it_expects(
    verdicts: Callable[[str, str], dict[str, str | None]], script: str, variant: str, check: str
) -> None:
    """The check passed in the clients' own environment."""
    failure = verdicts(script, variant)[check]

    assert failure is None, failure
