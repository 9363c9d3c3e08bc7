"""The page's files as they are served: read once, with a policy that lets them reach nothing but this listener."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent

# Path as asked for → file and its type.
FILES: dict[str, tuple[str, str]] = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/charts.js": ("charts.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}

POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class PageFile(NamedTuple):
    """One file, with all its fields."""

    body: bytes
    headers: dict[str, str]


def page_files() -> dict[str, PageFile]:
    """All files by the path they are served at."""
    files: dict[str, PageFile] = {}
    for path, (name, content_type) in FILES.items():
        body = (FOLDER / name).read_bytes()
        files[path] = PageFile(body, {**HEADERS, "Content-Type": content_type})
    return files
