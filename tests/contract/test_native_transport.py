"""The native transport is what all servers of the suite but the third speak: else asking everything over both would show nothing."""

import socket
from typing import Final

import pytest
from serving import Serving

ROUTES: Final = ("fast",)
PREFACE: Final = b"does not begin with the preface"
"""Our words for a client that does not speak HTTP/2."""


@pytest.mark.parametrize("said", [pytest.param(PREFACE, id="preface-grpc")])
def test_server_speaks_the_transport_of_its_route(server: Serving, said: bytes) -> None:
    """Told apart by what they say to HTTP/1.1."""
    host, _, port = server.addresses["grpc"].rpartition(":")
    with socket.create_connection((host, int(port)), 20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = b""
        while data := client.recv(4096):
            answer += data

    assert (said in answer) is (server.route != "grpcio")
