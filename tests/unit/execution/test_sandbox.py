"""The filter of a worker's system calls, in processes that it closes in."""

import platform
import subprocess
import sys

import pytest

if platform.machine() not in ("x86_64", "aarch64"):
    pytest.skip("no table of numbers for this machine", allow_module_level=True)

CLOSED = """
import ctypes, os, socket, subprocess, threading
ready, go = threading.Event(), threading.Event()
seen = []
def other():
    ready.set(); go.wait(); seen.append(tried(socket.socket))
def tried(call, *arguments):
    try:
        call(*arguments)
    except PermissionError:
        return "refused"
    return "allowed"
thread = threading.Thread(target=other); thread.start(); ready.wait()
a, b = socket.socketpair()
listener = socket.socket()
from penstock.execution.sandbox import close_in
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
assert close_in()
go.set(); thread.join()
print("thread", *seen)
print("socket", tried(socket.socket))
print("bind", tried(listener.bind, ("127.0.0.1", 0)))
print("listen", tried(listener.listen))
print("connect", tried(listener.connect, ("127.0.0.1", 9)))
print("exec", tried(os.execv, "/bin/true", ["true"]))
a.send(b"x"); b.recv(1)
print("end")
"""


def test_calls_are_refused_to_all_threads_and_the_rest_works() -> None:
    """No socket, no listener, no program; sockets that are there go on."""
    done = subprocess.run([sys.executable, "-c", CLOSED], capture_output=True, text=True, check=False, timeout=60)

    refused = ["thread", "socket", "bind", "listen", "connect", "exec"]
    assert done.stdout.splitlines() == [*[f"{name} refused" for name in refused], "end"], done.stderr
