"""All clients, one after the other on one stand."""

from __future__ import annotations

from collections.abc import Sequence

from tests.clients import calls, chromium, command_line, libraries, node
from tests.clients.run import Client, Outcome, run
from tests.clients.stand import Stand

CLIENTS: tuple[Client, ...] = (
    *command_line.CLIENTS,
    *chromium.CLIENTS,
    *libraries.CLIENTS,
    *node.CLIENTS,
    *calls.CLIENTS,
)


async def run_all(clients: Sequence[Client], *, only: Sequence[str] = ()) -> tuple[list[Outcome], list[str]]:
    """Every client in every protocol it speaks, and why some could not run; ``only`` names the groups asked for."""
    outcomes: list[Outcome] = []
    absent = [why for client in clients if (why := client.missing())]
    with calls.Server() as server, Stand(server.url) as stand:
        for client in clients:
            if not client.missing():
                outcomes += [await run(client, protocol, stand, only=only) for protocol in client.protocols]
    return outcomes, sorted(set(absent))
