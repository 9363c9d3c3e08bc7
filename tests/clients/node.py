"""Node: fetch speaks HTTP/1.1, and its http2 module HTTP/2."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.clients.cases import Answer, Case
from tests.clients.run import Client, in_turn
from tests.clients.stand import Stand

PATIENCE = 60.0
SCRIPT = Path(__file__).with_name("node.mjs")


async def ask(stand: Stand, protocol: str, cases: Sequence[Case]) -> list[Answer]:
    """Raises RuntimeError with what Node says if it fails."""
    groups = [[_listed(case) for case in group] for group in in_turn(cases)]
    order = {
        "protocol": protocol,
        "origin": stand.origin(protocol),
        "authority": str(stand.authority),
        "groups": groups,
    }
    process = await asyncio.create_subprocess_exec("node", str(SCRIPT), stdin=PIPE, stdout=PIPE, stderr=PIPE)
    told, complaints = await asyncio.wait_for(process.communicate(json.dumps(order).encode()), PATIENCE)
    if process.returncode:
        raise RuntimeError(f"node ended with {process.returncode}: {complaints.decode()}")
    return [
        Answer(one["version"], one["status"], one["fields"], base64.b64decode(one["body"])) for one in json.loads(told)
    ]


def _listed(case: Case) -> dict[str, Any]:
    sent = base64.b64encode(case.sent).decode()
    return {"path": case.path, "method": case.method, "fields": dict(case.fields), "sent": sent}


def _absent() -> str:
    return "" if shutil.which("node") else "node is not installed"


CLIENTS = (
    Client("Node fetch", ("h1",), ask, unpacks=True, missing=_absent),
    Client("Node http2", ("h2",), ask, missing=_absent),
)
