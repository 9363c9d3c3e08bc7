"""A headless Firefox driven over Marionette, its remote control: one page after the other, certificates not checked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, Self

from tests.support.ports import accepts, free_port, wait_until

# It talks to nothing but the addresses it is given.
_PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "services.settings.server": "http://127.0.0.1:9",
    "toolkit.telemetry.enabled": False,
}
_PATIENCE = 60.0  # seconds for a start or a page


def firefox() -> str | None:
    return shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    """Use it as a context manager; ``folder`` holds its profile, which may have ``preferences``."""

    def __init__(self, folder: Path, preferences: dict[str, Any] | None = None) -> None:
        program = firefox()
        if program is None:
            raise RuntimeError("firefox is not installed (Debian package: firefox-esr)")
        folder.mkdir()
        port = free_port()
        lines = (_PREFERENCES | (preferences or {}) | {"marionette.port": port}).items()
        (folder / "user.js").write_text(
            "".join(f"user_pref({name!r}, {json.dumps(value)});\n" for name, value in lines)
        )
        self._process = subprocess.Popen(
            [program, "--headless", "--no-remote", "--marionette", "--profile", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"HOME": str(folder)},
            start_new_session=True,
        )
        try:
            wait_until(lambda: accepts(port), "Firefox listens", _PATIENCE)
            self._socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
            self._receive()  # its greeting
            self._number = 0
            self._call("WebDriver:NewSession", acceptInsecureCerts=True)
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._end()

    def open(self, url: str) -> None:
        """Go to ``url`` and wait for its load event."""
        self._call("WebDriver:Navigate", url=url)

    def _call(self, name: str, **parameters: Any) -> Any:
        self._number += 1
        text = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(text), text))
        _, _, error, result = self._receive()
        if error is not None:
            raise RuntimeError(f"{name}: {error['error']} {error['message']}")
        return result

    def _receive(self) -> Any:
        """One message: its length in decimal, a colon, JSON."""
        data = b""
        while not data.endswith(b":"):
            data += self._read(1)
        return json.loads(self._read(int(data[:-1])))

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise RuntimeError("Firefox has ended")
            data += piece
        return data

    def _end(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # its helpers are in the session started for it
        self._process.wait()
