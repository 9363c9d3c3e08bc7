"""The process in which text is made smaller: jobs in at a socket, results out, one after the other.

    python -m edgeproxy.compression.minifier_process DESCRIPTOR

A job is its kind's number and its length, and the text; a result is a flag and its length, and what came of the text,
nothing if the flag is 0. A byte says that it is ready. It ends when the other end of the socket does.

The library is written in Go, whose runtime ends the process it is in when it runs out of stack or memory, and some
texts keep it busy for long (50,000 variables in one scope: 8 s). Here it can be ended, and takes nobody along.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable
from typing import Final

from edgeproxy.confined.inside import confine, receive, say_ready

HEAD: Final = struct.Struct(">BI")

# What a text may be, in the order of the numbers, and as the library calls it.
KINDS: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "application/javascript",
    "svg": "image/svg+xml",
    "json": "application/json",
}

# No name is changed, and nothing is left out that a script, a style sheet or a reader of the source may look for.
SETTINGS: Final[dict[str, str | bool | int]] = {
    "html-keep-comments": True,  # React, Vue, Lit and Knockout find their way by them
    "html-keep-special-comments": True,
    "html-keep-default-attr-vals": True,
    "html-keep-document-tags": True,
    "html-keep-end-tags": True,
    "html-keep-quotes": True,
    "html-keep-whitespace": True,  # one space stays where there were some
    "js-keep-var-names": True,
    "js-version": 2015,  # nothing newer than browsers had to know by then, unless it stood there
    "json-keep-numbers": True,
}

MEMORY: Final = 2 << 30  # bytes of address space, most of which Go's runtime only sets aside


def main(descriptor: int) -> None:
    """Serve jobs until the socket ends."""
    link = socket.socket(fileno=descriptor)
    confine(MEMORY)
    minify = load()
    media_types = tuple(KINDS.values())
    say_ready(link)
    while (head := receive(link, HEAD.size)) is not None:
        number, length = HEAD.unpack(head)
        text = receive(link, length)
        if text is None:
            return
        try:
            smaller, done = minify(media_types[number], text.decode()).encode(), 1
        except ValueError:  # a text of another language, or one that breaks off
            smaller, done = b"", 0
        link.sendall(HEAD.pack(done, len(smaller)) + smaller)


def load() -> Callable[[str, str], str]:
    """The library's function, of a media type and a text without NUL, set up. It raises ValueError."""
    import minify

    minify.config(SETTINGS)
    minify.string("text/html", "<p>")
    function: Callable[[str, str], str] = minify.string
    return function


if __name__ == "__main__":
    main(int(sys.argv[1]))
