"""``python -m tests.support.gallery_picture FILE``: the demo's gallery as a browser shows it, as a small PNG."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from tests.support.browser import browser_page
from tests.support.ports import end_process
from tests.support.processes import EdgeProcess

SHIPPED = Path(__file__).parents[2] / "config" / "edgeproxy.yaml"
WIDTH, HEIGHT = 1200, 1250
LARGEST = 300_000  # bytes
_LOADED = "[...document.querySelectorAll('.gallery img')].every((image) => image.complete && image.naturalWidth)"


async def shoot(url: str) -> bytes:
    """The page at ``url`` on a desktop, once all its pictures are there; PNG, as large as the screen."""
    async with browser_page() as page:
        metrics: dict[str, Any] = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        await page.call("Emulation.setDeviceMetricsOverride", **metrics)
        await page.open(url)
        await page.until(_LOADED)
        return await page.screenshot()


def smaller(png: bytes) -> bytes:
    """The same picture in as many colours as fit into :data:`LARGEST`. Raises ValueError where none do."""
    with Image.open(io.BytesIO(png)) as shot:
        seen = shot.convert("RGB").crop((0, 0, WIDTH, min(HEIGHT, shot.height)))
    for width in (WIDTH, 1000, 800):
        scaled = seen.resize((width, seen.height * width // WIDTH), Image.Resampling.LANCZOS)
        for colours in (256, 128, 64):
            target = io.BytesIO()
            few = scaled.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
            few.save(target, "PNG", optimize=True)
            if target.tell() <= LARGEST:
                return target.getvalue()
    raise ValueError("the page does not fit")


def main(file: str) -> None:
    """Start the demo's origin and the proxy as shipped, and write the picture."""
    command = [sys.executable, "-m", "edgeproxy.demo", "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as origin:
        assert origin.stdout is not None
        try:
            address = origin.stdout.readline().decode().rsplit(" ", 1)[1].strip().rstrip("/")
            config: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
            config = {key: value for key, value in config.items() if key not in {"listeners", "admin"}}
            config["middleware"].setdefault("images", {"auto": True, "hints": True})
            with EdgeProcess(config, environment={**os.environ, "EDGEPROXY_ORIGIN": address}) as edge:
                png = smaller(asyncio.run(shoot(f"{edge.url}/photographs/")))
        finally:
            end_process(origin)
    Path(file).write_bytes(png)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "docs/gallery.png")
