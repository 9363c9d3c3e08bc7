"""The peers from Debian: installed where that is possible, and their versions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping

from tests.benchmarks.errors import BenchmarkError

# Package → the command it is wanted for.
PACKAGES = {"nginx": "nginx", "varnish": "varnishd", "wrk": "wrk", "util-linux": "taskset"}
_VERSION_OPTION = {"nginx": "-v", "varnishd": "-V", "wrk": "-v", "haproxy": "-v"}
_VERSION = re.compile(r"(?:nginx/|varnish-|wrk (?:debian/)?|HAProxy version )(\d[\w.]*)")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def ensure(packages: Mapping[str, str] = PACKAGES) -> None:
    """Install what is missing with apt. Raises BenchmarkError with the command to run where that is not allowed."""
    missing = [package for package, command in packages.items() if shutil.which(command, path=_PATH) is None]
    if not missing:
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BenchmarkError(f"the benchmarks need {', '.join(missing)}; as root: {' '.join(install)}")
    # RUNLEVEL: the packages' own services are not started (invoke-rc.d(8)).
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["apt-get", "update"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchmarkError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")


def versions(commands: Collection[str] = tuple(PACKAGES.values())) -> dict[str, str]:
    """Command → version, as each says itself."""
    options = {command: option for command, option in _VERSION_OPTION.items() if command in commands}
    return {command: parse_version(_ask(command, option)) for command, option in options.items()}


def parse_version(text: str) -> str:
    """The version in a command's own words; ``unknown`` where there is none."""
    found = _VERSION.search(text)
    return found.group(1) if found else "unknown"


def _ask(command: str, option: str) -> str:
    path = shutil.which(command, path=_PATH)
    if path is None:
        return ""
    done = subprocess.run([path, option], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
