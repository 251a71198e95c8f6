"""System calls that a worker process has no use for, refused by the kernel from before it sees a model's file.

What a graph that has taken the process over would want first: sockets of its own, other programs, other processes' memory. A classic BPF
program compares the number of each call (Linux, Documentation/userspace-api/seccomp_filter.rst) and answers EPERM.
"""

import ctypes
import errno
import platform
import struct
from typing import Final, NamedTuple

_LOAD, _JUMP_EQUAL, _JUMP_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCH_AT = 0, 4
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_SET_FILTER, _ALL_THREADS = 1, 1
_X32: Final = 0x40000000
"""Numbers from here on are those of x32, a second table of the same calls on x86_64."""


class _Machine(NamedTuple):
    """The numbers of one architecture (asm/unistd.h, linux/audit.h)."""

    audit: int
    seccomp: int
    refused: tuple[int, ...]
    """socket, connect, accept, bind, listen, execve, ptrace, accept4, process_vm_readv, process_vm_writev, bpf, execveat, io_uring_setup,
    in this order."""


_MACHINES: Final = {
    "x86_64": _Machine(0xC000003E, 317, (41, 42, 43, 49, 50, 59, 101, 288, 310, 311, 321, 322, 425)),
    "aarch64": _Machine(0xC00000B7, 277, (198, 203, 202, 200, 201, 221, 117, 242, 270, 271, 280, 281, 425)),
}


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def close_in() -> bool:
    """Refuse those calls to all threads of the process, for good; False where the kernel or the architecture has no such filter.

    The process must not be able to gain rights any more (`PR_SET_NO_NEW_PRIVS`).
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    code = b"".join(_instructions(machine))
    program = _Program(len(code) // 8, code)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    return bool(syscall(machine.seccomp, _SET_FILTER, _ALL_THREADS, ctypes.byref(program)) == 0)


def _instructions(machine: _Machine) -> list[bytes]:
    """Return the program: calls of another architecture's table are refused as a whole, for their numbers mean something else."""
    count = len(machine.refused)
    return [
        _one(_LOAD, _ARCH_AT),
        _one(_JUMP_EQUAL, machine.audit, unequal=count + 3),
        _one(_LOAD, _NUMBER_AT),
        _one(_JUMP_LEAST, _X32, equal=count + 1),
        *[_one(_JUMP_EQUAL, number, equal=count - index) for index, number in enumerate(machine.refused)],
        _one(_RETURN, _ALLOW),
        _one(_RETURN, _REFUSE),
    ]


def _one(code: int, value: int, *, equal: int = 0, unequal: int = 0) -> bytes:
    """Return a `struct sock_filter`; the jumps are relative to the next instruction."""
    return struct.pack("=HBBI", code, equal, unequal, value)
