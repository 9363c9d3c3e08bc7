"""Debian's pebble, an ACME server for tests, and the name server its validation asks: child processes on free ports."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

from tests.support.certificates import Authority
from tests.support.ports import accepts, end_process, free_port, wait_until

HMAC = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"

_HOOK = """#!{python} -IS
import http.client, json, sys
action, name, value = sys.argv[1:]
with open("{folder}/hooked", "a") as hooked:
    print(action, name, value, file=hooked)
order = {{"host": name + "."}} | ({{"value": value}} if action == "present" else {{}})
connection = http.client.HTTPConnection("127.0.0.1", {port}, timeout=5)
connection.request("POST", "/set-txt" if action == "present" else "/clear-txt", json.dumps(order))
sys.exit(connection.getresponse().status != 200)
"""


class Pebble:
    """A context manager. Every name is this machine's; names are validated on ``http_port`` and ``tls_port``.

    ``lifetime``: seconds that certificates are valid. ``kid``: the external account that is demanded, with
    :data:`HMAC`. ``refused``: names it issues nothing for. ``nonces``: the share of good nonces it refuses, in percent.
    ``valid``: it asks nobody, and takes every name for proved.
    """

    def __init__(
        self,
        *,
        http_port: int | None = None,
        tls_port: int | None = None,
        lifetime: int | None = None,
        kid: str | None = None,
        refused: tuple[str, ...] = (),
        nonces: int = 0,
        valid: bool = False,
    ) -> None:
        self.port, self.management_port = free_port(), free_port()
        self.http_port, self.tls_port = http_port or free_port(), tls_port or free_port()
        self._dns_port, self._dns_management_port = free_port(), free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="pebble-")
        self.folder = Path(self._folder.name)
        authority = Authority(self.folder, "pebble-ca")
        own = authority.issue("localhost", "127.0.0.1")
        self.ca = authority.file
        self.directory = f"https://localhost:{self.port}/dir"
        self._options: dict[str, Any] = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management_port}",
            "certificate": str(own.certificate),
            "privateKey": str(own.key),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": kid is not None,
            "externalAccountMACKeys": {} if kid is None else {kid: HMAC},
            "domainBlocklist": list(refused),
        }
        if lifetime is not None:
            self._options["certificateValidityPeriod"] = lifetime
        self._environment = {
            "PATH": os.environ["PATH"],
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": str(nonces),
            "PEBBLE_AUTHZREUSE": "0",
            **({"PEBBLE_VA_ALWAYS_VALID": "1"} if valid else {}),
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """Start it, again or for the first time; it knows nothing of before."""
        (self.folder / "config.json").write_text(json.dumps({"pebble": self._options}))
        self._run(
            *("pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", ""),
            *("-tlsalpn01", "", "-dns01", f"127.0.0.1:{self._dns_port}"),
            *("-management", f"127.0.0.1:{self._dns_management_port}"),
        )
        self._run("pebble", "-config", str(self.folder / "config.json"), "-dnsserver", f"127.0.0.1:{self._dns_port}")
        for port in (self._dns_management_port, self.port):
            wait_until(lambda port=port: self._alive() and accepts(port), "pebble listens")

    def stop(self) -> None:
        for process in self._processes:
            end_process(process)
        self._processes.clear()

    def roots(self) -> str:
        """The certificate that its own lead to, PEM; another one after every start."""
        return self._manage("/roots/0").decode()

    def status(self, serial: int) -> str:
        """What it says of a certificate: Valid or Revoked."""
        return str(json.loads(self._manage(f"/cert-status-by-serial/{serial:x}"))["Status"])

    def tell_dns(self, path: str, order: dict[str, Any]) -> None:
        """Change what its name server answers: see pebble-challtestsrv's README."""
        connection = http.client.HTTPConnection("127.0.0.1", self._dns_management_port, timeout=5)
        connection.request("POST", path, json.dumps(order))
        assert connection.getresponse().status == 200
        connection.close()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def orders(self) -> int:
        """How many orders were made since the start."""
        return self.log().count("Added order ")

    def hook(self) -> Path:
        """A script that writes records into its name server, as ``acme.dns_hook`` is to."""
        script = self.folder / "dns-hook"
        script.write_text(_HOOK.format(python=sys.executable, folder=self.folder, port=self._dns_management_port))
        script.chmod(0o755)
        return script

    def _manage(self, path: str) -> bytes:
        context = ssl.create_default_context(cafile=str(self.ca))
        connection = http.client.HTTPSConnection("127.0.0.1", self.management_port, timeout=5, context=context)
        connection.request("GET", path)
        body = connection.getresponse().read()
        connection.close()
        return body

    def _run(self, *command: str) -> None:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=self._environment
            )
        self._processes.append(process)

    def _alive(self) -> bool:
        if any(process.poll() is not None for process in self._processes):
            raise RuntimeError(f"pebble ended:\n{self.log()}")
        return True
