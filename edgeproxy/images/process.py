"""The process pictures are made in: jobs in at a socket, variants out, and as little else as the system lets it have.

    python -m edgeproxy.images.process DESCRIPTOR MEMORY NICENESS ENGINE

A job is two lengths (32 bits each), the plan, bounds and craft as JSON, and the file; an answer is two lengths, what
there is to say as JSON, and the body. A byte says that it is ready. It ends when the other end of the socket does.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import math
import os
import resource
import signal
import socket
import struct
import sys
import time
from typing import Any, Final

from edgeproxy.images.plan import Bounds, Craft, ImageError, Plan

LENGTHS: Final = struct.Struct(">II")
READY: Final = b"+"

# What Pillow and the codecs of text load when they first meet EXIF and texts.
_LATE: Final = (
    "PIL.ImageColor",
    "PIL.ImagePalette",
    "PIL.TiffImagePlugin",
    "copy",
    "encodings.ascii",
    "encodings.latin_1",
    "encodings.utf_16",
)

# linux/prctl.h
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38


def main(descriptor: int, memory: int, niceness: int, engine: str) -> None:
    """Serve jobs until the socket ends. ``engine``: of those to come, as in Craft."""
    link = socket.socket(fileno=descriptor)
    _confine(memory, niceness)
    make = _ready(engine)
    link.sendall(READY)
    while (lengths := _receive(link, LENGTHS.size)) is not None:
        told, length = LENGTHS.unpack(lengths)
        order, source = _receive(link, told), _receive(link, length)
        if order is None or source is None:
            return
        plan, bounds, craft = (_tuple(values) for values in json.loads(order))
        _limit_time(Bounds(*bounds).seconds)
        began = time.process_time()
        try:
            picture = make(source, Plan(*plan), Bounds(*bounds), Craft(*craft))
            said: dict[str, Any] = picture._asdict() | {"content_type": picture.content_type.decode()}
            body = said.pop("body")
        except ImageError as error:
            said, body = {"reason": error.reason}, b""
        del source
        answer = json.dumps(said | {"cpu": time.process_time() - began}).encode()
        link.sendall(LENGTHS.pack(len(answer), len(body)) + answer)
        link.sendall(body)


def _confine(memory: int, niceness: int) -> None:
    """Take away what a decoder that somebody else has taken over could use."""
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


def _ready(engine: str) -> Any:
    """The engine, with all it will ever load; from here on no file or socket can be opened, and no process started."""
    from PIL import Image

    from edgeproxy.images import vips
    from edgeproxy.images.engine import make

    for module in _LATE:
        importlib.import_module(module)
    Image.preinit()
    if engine == "pillow" or not vips.load():  # libvips works in threads, and has none without work
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    return make


def _limit_time(seconds: float) -> None:
    """CPU time left for one job: what ends it where nobody else can."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def _receive(link: socket.socket, length: int) -> bytes | None:
    """So many bytes; None when the socket ends before."""
    content = link.recv(length, socket.MSG_WAITALL)
    while len(content) < length:  # a signal came in between
        more = link.recv(length - len(content), socket.MSG_WAITALL)
        if not more:
            return None
        content += more
    return content


def _tuple(values: Any) -> Any:
    """JSON's lists, as the tuples they were."""
    return tuple(map(_tuple, values)) if isinstance(values, list) else values


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
