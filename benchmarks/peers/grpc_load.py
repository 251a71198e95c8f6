"""Asks over gRPC as fast as the answers come, one call at a time on each connection, by h2load."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from grpc_echo import METHOD
from h2load_report import report_of
from harness import Load

H2LOAD: Final = shutil.which("h2load")
_HEADERS: Final = ("content-type: application/grpc", "te: trailers")


def ask(address: str, message: bytes, answer_bytes: int, connections: int, seconds: float) -> Load:
    """Ask for some seconds; raises `RuntimeError` if a call failed, which shows in the bytes that came back."""
    if H2LOAD is None:
        raise RuntimeError("h2load is not installed (Debian: apt install nghttp2-client)")
    with tempfile.TemporaryDirectory(prefix="penstock-h2load-") as name:
        body, log = Path(name, "body"), Path(name, "log")
        body.write_bytes(framed(message))
        command = [H2LOAD, "-t1", "-m1", f"-c{connections}", f"-D{seconds:.0f}", f"-d{body}", f"--log-file={log}"]
        command += [part for header in _HEADERS for part in ("-H", header)]
        report = subprocess.run([*command, f"http://{address}{METHOD}"], check=True, capture_output=True, text=True).stdout
        taken = [int(line.rpartition("\t")[2]) for line in log.read_text().splitlines()]
    report_of(report, answer_bytes)
    p50, p99 = np.percentile(taken, (50, 99)) if taken else (0.0, 0.0)
    return Load(len(taken), seconds, float(p50), float(p99))


def framed(message: bytes) -> bytes:
    """Return a message with gRPC's five bytes before it: not compressed, and the length."""
    return b"\0" + len(message).to_bytes(4, "big") + message
