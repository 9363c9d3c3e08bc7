"""A trial's process that somebody has taken over: it answers with what it was given as the model.

python -m tests.support.trial_liar DESCRIPTOR MEMORY
"""

from __future__ import annotations

import os
import signal
import socket
import sys

from edgeproxy.confined.inside import receive, say_ready
from edgeproxy.inference.trial_process import ANSWER, JOB


def main(descriptor: int) -> None:
    link = socket.socket(fileno=descriptor)
    say_ready(link)
    while (lengths := receive(link, JOB.size)) is not None:
        told, length = JOB.unpack(lengths)
        receive(link, told)
        content = receive(link, length) or b""
        if content == b"departure":
            link.close()
        if content in (b"silence", b"departure"):
            signal.pause()
        if content.startswith(b"signal "):
            os.kill(os.getpid(), int(content[7:]))
        link.sendall(ANSWER.pack(1 << 31 if content == b"endless" else len(content)) + content)


if __name__ == "__main__":
    main(int(sys.argv[1]))
