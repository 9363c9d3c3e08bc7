"""The proxies in front of origins that fail, each from its file in configs/, on one core."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.benchmarks.servers import EDGEPROXY, Server, binary, free_port

PACKAGES = {"nginx": "nginx", "haproxy": "haproxy", "util-linux": "taskset"}


class Proxy(Server):
    """One proxy in front of ``origins``, addresses as host:port; where none of them is left, of ``backups``."""

    def __init__(self, work: Path, origins: Sequence[str], backups: Sequence[str] = ()) -> None:
        super().__init__(work)
        self.origins = tuple(origins)
        self.backups = tuple(backups)


class Edgeproxy(Proxy):
    """This project, one worker."""

    name = "edgeproxy"
    config = "chaos-edgeproxy.yaml"

    def __init__(self, work: Path, origins: Sequence[str], backups: Sequence[str] = ()) -> None:
        super().__init__(work, origins, backups)
        self.admin_port = free_port()

    def values(self) -> dict[str, object]:
        urls, others = ([f"http://{address}" for address in each] for each in (self.origins, self.backups))
        pools = f"    fallback: other\n  other: {{endpoints: {json.dumps(others)}}}" if others else ""
        return super().values() | {"admin_port": self.admin_port, "endpoints": json.dumps(urls), "fallback": pools}

    def commands(self, config: Path) -> dict[str, list[str]]:
        return {"edgeproxy": [EDGEPROXY, "run", "-c", str(config)]}

    def metric(self, *names: str) -> float:
        """The sum of these metrics' samples, 0 where there is none yet."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            return sum(sample.value for family in families for sample in family.samples if sample.name in names)


class EdgeproxyTiers(Edgeproxy):
    """The same with the backups in the same pool, in the next tier."""

    name = "edgeproxy-tiers"

    def values(self) -> dict[str, object]:
        tiers = [(address, 0) for address in self.origins] + [(address, 1) for address in self.backups]
        endpoints = [{"url": f"http://{address}", "priority": priority} for address, priority in tiers]
        return super().values() | {"endpoints": json.dumps(endpoints), "fallback": ""}


class Nginx(Proxy):
    """nginx from Debian, one worker."""

    name = "nginx"
    config = "chaos-nginx.conf"

    def values(self) -> dict[str, object]:
        lines = [f"server {address} max_fails=3 fail_timeout=4s;" for address in self.origins]
        lines += [f"server {address} backup;" for address in self.backups]
        return super().values() | {"servers": "\n        ".join(lines)}

    def commands(self, config: Path) -> dict[str, list[str]]:
        return {self.name: [binary("nginx"), "-p", str(self.work), "-c", str(config)]}


class Haproxy(Proxy):
    """HAProxy from Debian, one thread."""

    name = "haproxy"
    config = "chaos-haproxy.cfg"

    def values(self) -> dict[str, object]:
        lines = [f"server o{number} {address} check" for number, address in enumerate(self.origins)]
        lines += [f"server b{number} {address} backup" for number, address in enumerate(self.backups)]
        return super().values() | {"servers": "\n    ".join(lines)}

    def commands(self, config: Path) -> dict[str, list[str]]:
        return {self.name: [binary("haproxy"), "-W", "-db", "-f", str(config)]}


PROXIES: tuple[type[Proxy], ...] = (Edgeproxy, Nginx, Haproxy)
