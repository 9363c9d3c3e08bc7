"""The operator's command that writes and removes the records of DNS-01."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Literal

from edgeproxy.acme.failure import AcmeError

_PASSED = ("HOME", "LANG", "PATH")
_OWN = "DNS_"  # what an operator gives the hook alone begins so


def run(
    command: Sequence[str],
    action: Literal["present", "cleanup"],
    name: str,
    value: str,
    *,
    timeout: float,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Run it to its end, without a shell. What it writes to stderr goes where ours goes. Raises AcmeError if it cannot
    be run, does not end in time or with 0; nothing of it is left then."""
    passed = {key: text for key, text in environment.items() if key in _PASSED or key.startswith(_OWN)}
    try:
        process = subprocess.Popen(  # noqa: S603 -- the operator's command; what is behind it was checked
            [*command, action, name, value],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=passed,
            start_new_session=True,
        )
    except OSError as error:
        raise AcmeError(f"dns_hook cannot be run: {error.strerror}", whole=True) from None
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        raise AcmeError(f"dns_hook did not {action} within {timeout:g}s") from None
    finally:
        _end(process)
    if status:
        raise AcmeError(f"dns_hook ended with {status} at {action}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
