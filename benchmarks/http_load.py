"""Asks over HTTP as fast as the answers come, on a fixed number of connections: by wrk, or without it by asyncio."""

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from harness import Load

WRK: Final = shutil.which("wrk")
WITHOUT_WRK: Final = (
    "wrk is not installed (Debian: apt install wrk), so a slower generator in Python asks in its place: it does not keep "
    "the server busy, the rates are the generator's, and the CPU per request is somewhat higher than under full load"
)
_SCRIPT: Final = """wrk.method = "POST"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
{headers}
"""
_UNITS: Final = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Question(NamedTuple):
    """One request, asked again and again."""

    address: str
    path: str
    headers: dict[str, str]
    body: bytes


def ask(question: Question, connections: int, seconds: float) -> Load:
    """Ask for some seconds; raises `RuntimeError` if an answer is not 200."""
    return _ask_wrk(question, connections, seconds) if WRK else asyncio.run(_ask_asyncio(question, connections, seconds))


def _ask_wrk(question: Question, connections: int, seconds: float) -> Load:
    with tempfile.TemporaryDirectory(prefix="penstock-wrk-") as name:
        body, script = Path(name, "body"), Path(name, "ask.lua")
        body.write_bytes(question.body)
        headers = "\n".join(f'wrk.headers["{key}"] = "{value}"' for key, value in question.headers.items())
        script.write_text(_SCRIPT.format(body=body, headers=headers))
        command = [str(WRK), "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "60s", "--latency", "-s", str(script)]
        report = subprocess.run([*command, f"http://{question.address}{question.path}"], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in report or "Socket errors" in report:
        raise RuntimeError(f"not every request was answered:\n{report}")
    took, unit = _found(r"requests in ([\d.]+)(us|ms|s|m)", report)
    return Load(int(_found(r"(\d+) requests in", report)[0]), float(took) * _UNITS[unit] / 1e6, *(_percentile(p, report) for p in (50, 99)))


def _percentile(percent: int, report: str) -> float:
    value, unit = _found(rf"^ +{percent}% +([\d.]+)(us|ms|s)", report)
    return float(value) * _UNITS[unit]


def _found(pattern: str, report: str) -> tuple[str, ...]:
    found = re.search(pattern, report, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"wrk printed no {pattern!r}:\n{report}")
    return found.groups()


async def _ask_asyncio(question: Question, connections: int, seconds: float) -> Load:
    host, _, port = question.address.rpartition(":")
    headers = {"Host": question.address, "Content-Length": str(len(question.body)), **question.headers}
    lines = [f"POST {question.path} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items()), "", ""]
    message = "\r\n".join(lines).encode() + question.body
    started = time.perf_counter()
    tasks = [_ask_on_one(host, int(port), message, started + seconds) for _ in range(connections)]
    taken = [each for one in await asyncio.gather(*tasks) for each in one]
    p50, p99 = np.percentile(taken, (50, 99)) * 1e6
    return Load(len(taken), time.perf_counter() - started, float(p50), float(p99))


async def _ask_on_one(host: str, port: int, message: bytes, until: float) -> list[float]:
    reader, writer = await asyncio.open_connection(host, port)
    taken: list[float] = []
    while (sent := time.perf_counter()) < until:
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            raise RuntimeError(f"not every request was answered:\n{head.decode(errors='replace')}")
        await reader.readexactly(int(length[1]))
        taken.append(time.perf_counter() - sent)
    writer.close()
    return taken
