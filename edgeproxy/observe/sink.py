"""Where log lines go: a file, or standard output or error. Never blocks the loop for long, never tears a line.

A regular file is opened with O_APPEND and takes a batch in one write, which the kernel keeps whole beside those of
other workers. A pipe may be full: it is asked first, and is given whole lines up to PIPE_BUF at a time (atomic,
pipe(7)). What cannot be written waits, up to ``BACKLOG`` bytes; what comes then is dropped and counted. A disk that
takes no more is said once. A pipe that is full is not: the error log may well be the same pipe, and would block.
"""

from __future__ import annotations

import logging
import os
import select
import stat

from edgeproxy.observe.metrics import Metrics

logger = logging.getLogger("edgeproxy.observe")

BACKLOG = 1 << 20

_STANDARD = {"stdout": 1, "stderr": 2}


class Sink:
    """``target`` is ``stdout``, ``stderr`` or a file's path. Raises OSError if the file cannot be opened."""

    def __init__(self, target: str, metrics: Metrics) -> None:
        self.target = target
        self._waiting = b""
        self._failing = False
        self._fd = _open(target)
        self._whole = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._dropped = metrics.counter("edgeproxy_access_log_dropped_total", "Access log lines that were dropped.")

    def write(self, lines: bytes) -> None:
        """Take whole lines, behind those that wait."""
        self.flush()
        if not self._waiting:
            self._waiting = self._send(lines)
        elif len(self._waiting) + len(lines) <= BACKLOG:
            self._waiting += lines
        else:
            self._dropped.inc(by=lines.count(b"\n"))

    def reopen(self) -> None:
        """Open the path anew, after a rotation; on failure the old file goes on. Raises OSError."""
        if self.target in _STANDARD:
            return
        fd = _open(self.target)
        self.flush()
        os.close(self._fd)
        self._fd = fd
        self._whole = stat.S_ISREG(os.fstat(fd).st_mode)

    def flush(self) -> None:
        """Try again to write what waits."""
        if self._waiting:
            self._waiting = self._send(self._waiting)

    def close(self) -> None:
        self.flush()
        self._dropped.inc(by=self._waiting.count(b"\n"))
        self._waiting = b""
        if self.target not in _STANDARD:
            os.close(self._fd)

    def _send(self, lines: bytes) -> bytes:
        """Write what can be written now; returns the rest."""
        return lines[self._put(lines) :] if self._whole else self._write_pieces(lines)

    def _write_pieces(self, lines: bytes) -> bytes:
        poller = select.poll()
        poller.register(self._fd, select.POLLOUT)
        start = 0
        while start < len(lines):
            events = poller.poll(0)
            if not events or not events[0][1] & select.POLLOUT:
                break
            end = start + select.PIPE_BUF
            if end < len(lines):
                end = lines.rfind(b"\n", start, end) + 1 or lines.find(b"\n", start) + 1
            written = self._put(lines[start:end])
            if not written:
                break
            start += written
        return lines[start:]

    def _put(self, piece: bytes) -> int:
        try:
            written = os.write(self._fd, piece)
        except BlockingIOError:
            return 0
        except OSError as error:  # disk full, reader gone: the proxy goes on without its log
            if not self._failing:
                logger.warning("access log %s: %s; lines wait, as far as there is room", self.target, error.strerror)
            self._failing = True
            return 0
        if self._failing:
            logger.info("access log %s: written again", self.target)
            self._failing = False
        return written

    def __repr__(self) -> str:
        return f"<Sink {self.target} {len(self._waiting)} bytes waiting>"


def _open(target: str) -> int:
    standard = _STANDARD.get(target)
    if standard is not None:
        return standard
    # O_NONBLOCK: opening a FIFO without a reader fails at once instead of hanging.
    return os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)
