"""thumbor and ipx, set up in the work folder by pip and npm."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

from tests.benchmarks.errors import BenchmarkError

THUMBOR, IPX = "7.8.0", "3.1.1"
_PATIENCE = 600.0  # seconds for one installation


def ensure(work: Path) -> None:
    """Install what is not there yet. Raises BenchmarkError with the end of the installer's words."""
    if not thumbor_binary(work).exists():
        venv.create(work / "thumbor", with_pip=True)
        _run([str(work / "thumbor/bin/pip"), "install", "-q", f"thumbor=={THUMBOR}"], work)
    if not (work / "node_modules/ipx").exists():
        _run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(work), f"ipx@{IPX}"], work)


def thumbor_binary(work: Path) -> Path:
    return work / "thumbor/bin/thumbor"


def versions(work: Path) -> dict[str, str]:
    """What is compared, and the libraries of pictures under it."""
    ask = (
        "from PIL import Image, features; print(Image.__version__, features.version('avif'), features.version('webp'))"
    )
    library = "Pillow {}, libavif {}, libwebp {}"
    thumbor = _run([str(work / "thumbor/bin/python"), "-c", ask], work).split()
    ours = _run([sys.executable, "-c", ask], work).split()
    sharp = json.loads((work / "node_modules/sharp/package.json").read_text())
    return {
        "edgeproxy": library.format(*ours),
        f"thumbor {THUMBOR}": library.format(*thumbor),
        f"ipx {IPX}": f"sharp {sharp['version']}, Node {_run(['node', '--version'], work).strip()}",
    }


def _run(command: list[str], work: Path) -> str:
    try:
        done = subprocess.run(
            command, cwd=work, capture_output=True, text=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)} failed:\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout
