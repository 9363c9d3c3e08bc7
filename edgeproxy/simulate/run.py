"""Plays a scenario: quiet, attack, and after it until all is normal again."""

from __future__ import annotations

import asyncio
import resource
import ssl
import time
from collections.abc import Callable
from typing import Final

from edgeproxy.simulate.attack import Attack
from edgeproxy.simulate.good import Felt, GoodClient
from edgeproxy.simulate.node import Admin
from edgeproxy.simulate.report import Felts, Report
from edgeproxy.simulate.scenario import SLOW, Scenario

ASKED: Final = 0.25  # seconds between questions for the node's state
SETTLED: Final = 5.0  # seconds the good clients go on after it, at least
SPARE: Final = 30.0  # seconds beyond the scenario's own after which everything is ended
_FILES: Final = 200  # open ones beside the clients'


class States:
    """Asks a node for its state again and again."""

    def __init__(self, admin: Admin | None) -> None:
        self._admin = admin
        self.seen: list[tuple[float, int]] = []
        """When (monotonic seconds), and which."""

    async def run(self) -> None:
        while self._admin is not None:
            state = await self._admin.state()
            if state is not None:
                self.seen.append((time.monotonic(), state))
            await asyncio.sleep(ASKED)

    def first(self, since: float, *, alarm: bool) -> float | None:
        """Seconds after ``since`` until there was an alarm, or none."""
        return next((at - since for at, state in self.seen if at >= since and (state > 0) is alarm), None)


async def play(
    scenario: Scenario, address: tuple[str, int], admin: Admin | None, say: Callable[[str], None] = lambda _: None
) -> Report:
    """Play it; ``say`` is told how it goes. It ends by itself: raises TimeoutError if the machine is far too slow, and
    ValueError if it does not give this process as many files as there are clients."""
    _raise_file_limit(scenario)
    async with asyncio.timeout(scenario.quiet + 2 * scenario.duration + scenario.after + SPARE):
        return await _play(scenario, address, admin, say)


async def _play(
    scenario: Scenario, address: tuple[str, int], admin: Admin | None, say: Callable[[str], None]
) -> Report:
    felt: list[Felt] = []
    states = States(admin)
    attack = Attack(scenario, address)
    tls = _unchecked() if scenario.kind == "handshake" else None
    good = [GoodClient(number, scenario, address, felt, tls) for number in range(scenario.good)]
    background = [asyncio.ensure_future(one) for one in (states.run(), *(client.run() for client in good))]
    try:
        say(f"quiet: {scenario.good} good clients alone for {scenario.quiet:g} s")
        await asyncio.sleep(scenario.quiet)
        began = time.monotonic()
        many = f"{scenario.requests} x {scenario.kind} from {scenario.clients} addresses"
        many = f"{scenario.requests} x {scenario.kind} from {scenario.clients} addresses"
        say(f"attack: {many} in {scenario.duration:g} s")
        await attack.run()
        ended = time.monotonic()
        say(f"after: at most {scenario.after:g} s until all is normal")
        await _calm(states, ended, scenario.after)
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
    return Report(
        sent=attack.sent,
        statuses=dict(attack.statuses),
        refused=attack.refused,
        held=attack.held,
        quiet=Felts.of([one for one in felt if one.at < began]),
        attack=Felts.of([one for one in felt if began <= one.at < ended]),
        after=Felts.of([one for one in felt if one.at >= ended]),
        watched=bool(states.seen),
        recognised=states.first(began, alarm=True),
        over=states.first(ended, alarm=False),
        highest=max((state for at, state in states.seen if at >= began), default=0),
    )


async def _calm(states: States, ended: float, most: float) -> None:
    """Wait until the node says that all is normal; without a word from it, for a moment."""
    settled = ended + min(SETTLED, most)
    while time.monotonic() < ended + most:
        quiet = not states.seen or states.first(ended, alarm=False) is not None
        if quiet and time.monotonic() >= settled:
            return
        await asyncio.sleep(ASKED)


def _unchecked() -> ssl.SSLContext:
    """TLS to a node on this machine, whoever signed its certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _raise_file_limit(scenario: Scenario) -> None:
    wanted = min(scenario.clients, scenario.requests) + scenario.good + _FILES
    if scenario.kind in SLOW:
        wanted = scenario.requests + scenario.good + _FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise ValueError(f"{wanted} open files are needed and this process may have {hard}; ask for fewer clients")
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
