"""The site's files, read once at start: pages, and assets whose names carry a hash of their content.

The files on disk refer to each other by plain names (``/assets/site.css``). As served, an asset's name holds its hash
(``/assets/site.1f0c9e7a44.css``), so that it may be kept for a year; a page may be kept for minutes.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

SITE = Path(__file__).parent / "site"

YEAR = "public, max-age=31536000, immutable"
DAY = "public, max-age=86400"
PAGE = "public, max-age=0, s-maxage=300, must-revalidate"
NEVER = "private, no-store"

# Path as asked for → file, and how long it may be kept.
PAGES: dict[str, tuple[str, str]] = {
    "/": ("index.html", PAGE),
    "/stations/": ("stations.html", PAGE),
    "/photographs/": ("photographs.html", PAGE),
    "/live/": ("live.html", PAGE),
    "/reader/": ("reader.html", PAGE),
    "/sign-in/": ("sign-in.html", PAGE),
    "/members/": ("members.html", NEVER),
    "/robots.txt": ("robots.txt", DAY),
    "/favicon.ico": ("favicon.ico", DAY),
}

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_REFERENCE = re.compile(rb"/(?:assets|photographs)/[a-z0-9-]+\.[a-z]+")


class File(NamedTuple):
    """One file as it is served."""

    body: bytes
    content_type: str
    cache_control: str
    etag: str
    modified: datetime


def load_files(root: Path = SITE) -> dict[str, File]:
    """All files by the path they are served at. Raises ValueError for a page that refers to an asset not there."""
    sources = [
        path
        for folder in ("assets", "photographs")
        for path in sorted((root / folder).iterdir())
        if path.suffix in _TYPES
    ]
    changed = max(_modified(path) for path in (*sources, *root.glob("*.html")))
    files: dict[str, File] = {}
    names: dict[bytes, bytes] = {}
    for path in sources:
        body = path.read_bytes()
        plain = f"/{path.parent.name}/{path.name}"
        hashed = f"/{path.parent.name}/{path.stem}.{_digest(body)[:10]}{path.suffix}"
        names[plain.encode()] = hashed.encode()
        files[hashed] = _file(path, body, YEAR, _modified(path))
    for address, (name, cache_control) in PAGES.items():
        path = root / name
        files[address] = _file(path, _with_hashes(path, names), cache_control, changed)
    return files


def not_found_page(files: dict[str, File], root: Path = SITE) -> bytes:
    """The page for an address where nothing is."""
    names = {re.sub(rb"\.[0-9a-f]{10}\.", b".", address): address for address in map(str.encode, files)}
    return _with_hashes(root / "not-found.html", names)


def _with_hashes(path: Path, names: dict[bytes, bytes]) -> bytes:
    def hashed(reference: re.Match[bytes]) -> bytes:
        if reference[0] not in names:
            raise ValueError(f"{path.name} refers to {reference[0].decode()}, which is not there")
        return names[reference[0]]

    body = path.read_bytes()
    return _REFERENCE.sub(hashed, body) if path.suffix == ".html" else body


def _file(path: Path, body: bytes, cache_control: str, modified: datetime) -> File:
    return File(body, _TYPES[path.suffix], cache_control, _digest(body)[:20], modified)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
