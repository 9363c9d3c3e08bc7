"""What a confined process does with itself: it takes away all that its work, taken over by somebody else, could use.

In this order: :func:`confine`, load what is needed, :func:`seal`, :func:`say_ready`, serve until :func:`receive` gives
None, for then the other end of the socket is gone.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import socket
from typing import Final

READY: Final = b"+"

# linux/prctl.h
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38


def confine(memory: int, niceness: int = 0) -> None:
    """No files written, no rights won, no core left behind, ``memory`` bytes of address space, an end with the parent's
    own."""
    os.setpgid(0, 0)  # a terminal's Ctrl-C is not for it
    system = ctypes.CDLL(None)
    system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    system.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    if niceness:
        os.nice(niceness)


def seal(*, threads: bool) -> None:
    """From here on no file or socket can be opened, and no process started, nor a thread unless ``threads``."""
    if not threads:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def limit_time(seconds: float) -> None:
    """CPU time left from now on, before the system ends the process: for when nobody else can."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def say_ready(link: socket.socket) -> None:
    link.sendall(READY)


def receive(link: socket.socket, length: int) -> bytes | None:
    """So many bytes; None when the socket ends before."""
    content = link.recv(length, socket.MSG_WAITALL) if length else b""
    while len(content) < length:  # a signal came in between
        more = link.recv(length - len(content), socket.MSG_WAITALL)
        if not more:
            return None
        content += more
    return content
