"""Ports for servers that cannot be told to take any free one."""

import contextlib
import random
import socket
from pathlib import Path
from typing import Final

_LEAST: Final = 5_000
_GIVEN: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def quiet_port() -> int:
    """Return a port on which nobody listens, and which the kernel gives to nobody who asks for any: it stays free until it is used."""
    lowest, highest = map(int, _GIVEN.read_text().split())
    ports = [port for port in range(_LEAST, 65_536) if not lowest <= port <= highest]
    for port in random.SystemRandom().sample(ports, 100):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
