"""The demo site behind the proxy, as shipped but for its addresses: plain, with TLS, and with HTTP/3."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import jwt
import yaml

from edgeproxy.demo.run import SECRET_VARIABLE
from tests.support.certificates import Authority
from tests.support.ports import end_process, free_port
from tests.support.processes import EdgeProcess

SHIPPED = Path(__file__).parents[2] / "config" / "edgeproxy.yaml"
SECRET = "a secret of this run alone, 32 bytes and more"


class Stand:
    """A context manager. ``origin(protocol)`` is what URLs begin with for h1 (plain), h2 and h3 (TLS); ``grpc`` is the
    address of a gRPC origin that is to be reached below /demo.Echo/."""

    def __init__(self, grpc: str = "") -> None:
        self.secure_port = free_port()
        self._grpc = grpc
        self._folder = tempfile.TemporaryDirectory(prefix="clients-")
        authority = Authority(Path(self._folder.name))
        self.authority = authority.file
        self._pair = authority.issue("localhost", "127.0.0.1")
        self.certificate = self._pair.certificate
        self.trust = ssl.create_default_context(cafile=str(authority.file))
        self.token = jwt.encode({"sub": "reader", "exp": int(time.time()) + 3600}, SECRET, algorithm="HS256")

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "edgeproxy.demo", "--port", "0"]
        self._site = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            assert self._site.stdout is not None
            site = self._site.stdout.readline().decode().rsplit(" ", 1)[1].strip().rstrip("/")
            environment = {**os.environ, "EDGEPROXY_ORIGIN": site, SECRET_VARIABLE: SECRET}
            self.edge = EdgeProcess({}, environment=environment, patience=60)  # it has models to try
            self.edge.write(self._config())
            self.edge.__enter__()
        except BaseException:
            self._end_site()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.edge.__exit__()
        self._end_site()
        self._folder.cleanup()

    def origin(self, protocol: str) -> str:
        return self.edge.url if protocol == "h1" else f"https://localhost:{self.secure_port}"

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
        del config["admin"]
        tls = {"certificates": [{"certificate": str(self._pair.certificate), "key": str(self._pair.key)}]}
        config["listeners"] = [
            {"address": f"127.0.0.1:{self.edge.port}", "protocols": ["h1", "h2"]},
            {"address": f"127.0.0.1:{self.secure_port}", "tls": tls, "protocols": ["h1", "h2", "h3"]},
        ]
        config["middleware"]["rate_limit"] = {"rate": "100000/s"}  # all clients are one here
        if self._grpc:
            config["pools"]["calls"] = {"endpoints": [self._grpc], "protocol": "http2"}
            route = {
                "name": "calls",
                "match": {"path": "/demo.Echo/"},
                "pool": "calls",
                "middleware": {"bot_check": False},
            }
            config["routes"].insert(0, route)
        return config

    def _end_site(self) -> None:
        end_process(self._site)
        if self._site.stdout is not None:
            self._site.stdout.close()
