"""The process pictures are made in: jobs in at a socket, variants out, and as little else as the system lets it have.

    python -m edgeproxy.images.process DESCRIPTOR MEMORY NICENESS ENGINE

A job is two lengths (32 bits each), the plan, bounds and craft as JSON, and the file; an answer is two lengths, what
there is to say as JSON, and the body. A byte says that it is ready. It ends when the other end of the socket does.
"""

from __future__ import annotations

import importlib
import json
import socket
import struct
import sys
import time
from typing import Any, Final

from edgeproxy.confined.inside import confine, limit_time, receive, say_ready, seal
from edgeproxy.images.plan import Bounds, Craft, ImageError, Plan

LENGTHS: Final = struct.Struct(">II")

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


def main(descriptor: int, memory: int, niceness: int, engine: str) -> None:
    """Serve jobs until the socket ends. ``engine``: of those to come, as in Craft."""
    link = socket.socket(fileno=descriptor)
    confine(memory, niceness)
    make = _ready(engine)
    say_ready(link)
    while (lengths := receive(link, LENGTHS.size)) is not None:
        told, length = LENGTHS.unpack(lengths)
        order, source = receive(link, told), receive(link, length)
        if order is None or source is None:
            return
        plan, bounds, craft = (_tuple(values) for values in json.loads(order))
        limit_time(Bounds(*bounds).seconds)
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


def _ready(engine: str) -> Any:
    """The engine, with all it will ever load."""
    from PIL import Image

    from edgeproxy.images import vips
    from edgeproxy.images.engine import make

    for module in _LATE:
        importlib.import_module(module)
    Image.preinit()
    seal(threads=engine != "pillow" and vips.load())  # libvips works in threads, and has none without work
    return make


def _tuple(values: Any) -> Any:
    """JSON's lists, as the tuples they were."""
    return tuple(map(_tuple, values)) if isinstance(values, list) else values


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
