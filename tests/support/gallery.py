"""A node with the images stage on, in front of an origin with pictures."""

from __future__ import annotations

import io
import json
import urllib.request
from typing import Any

from PIL import Image

from tests.support import pictures
from tests.support.answers import Answer
from tests.support.client import ask
from tests.support.origin import answer
from tests.support.processes import EdgeProcess
from tests.support.site import Site, request

JPEG = pictures.encode(pictures.photo(400, 300), "JPEG")
TYPE, FRESH, TAG = b"Content-Type: image/jpeg", b"Cache-Control: max-age=600", b'ETag: "v1"'


class Gallery:
    """Asks a node for pictures, and counts what it did for that."""

    def __init__(self, edge: EdgeProcess, site: Site) -> None:
        self.edge = edge
        self.site = site
        self._before: dict[str, int] = {}

    def get(self, target: bytes, *fields: bytes, method: bytes = b"GET") -> Answer:
        return ask(self.edge.address, request(target, *fields, method=method), timeout=30).final[0]

    def hang(self, name: bytes, *fields: bytes, body: bytes = JPEG) -> bytes:
        """Put a picture up; returns its target."""
        return self.site.on(b"/" + name, answer(200, body, *(fields or (TYPE, FRESH, TAG))))

    def asked(self, target: bytes) -> int:
        """How often the origin was asked for it."""
        return len(self.site.to(target))

    def outcomes(self) -> dict[str, int]:
        """The stage's outcomes since this was asked last, by their labels."""
        now: dict[str, int] = {}
        for line in self.edge.admin("/metrics")[1].decode().splitlines():
            if line.startswith("edgeproxy_images_total{"):
                now[line.split('"')[1]] = int(float(line.rpartition(" ")[2]))
        before, self._before = self._before, now
        return {name: count - before.get(name, 0) for name, count in now.items() if count != before.get(name, 0)}

    def purge(self, **order: Any) -> None:
        """Have the node purge this."""
        url = f"{self.edge.admin_url}/purge"
        fields = {"Content-Type": "application/json"}
        body = json.dumps(order).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, fields), timeout=5) as response:
            assert response.status == 200


def shown(response: Answer) -> Image.Image:
    """The picture in an answer."""
    picture = Image.open(io.BytesIO(response.body))
    picture.load()
    return picture
