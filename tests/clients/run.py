"""One client on the whole site: what it asked, and what of it was right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from tests.clients.cases import Answer, Case, fault, site_cases
from tests.clients.stand import Stand

# Asks for cases and gives their answers in that order: one group after the other, the cases of one at once if it can.
Ask = Callable[[Stand, str, Sequence[Case]], Awaitable[list[Answer]]]
# Does something that is no request and answer; gives how many times it went right, and how many it was tried: 0 where
# it is not done in this protocol.
Special = Callable[[Stand, str], Awaitable[tuple[int, int]]]


@dataclass(frozen=True)
class Client:
    """``protocols`` it speaks, of h1, h2 and h3; ``unpacks``: it hands bodies out without their coding."""

    name: str
    protocols: tuple[str, ...]
    ask: Ask | None = None
    unpacks: bool = False
    specials: dict[str, Special] = field(default_factory=dict)
    missing: Callable[[], str] = lambda: ""
    """Why it cannot run here, "" if it can."""
    left_out: tuple[str, ...] = ()
    """Groups it is not asked for; ``note`` says why."""
    note: str = ""


@dataclass
class Outcome:
    """``counts``: by group, how many were right of how many; ``faults``: a sentence each."""

    client: str
    protocol: str
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def in_turn(cases: Sequence[Case]) -> list[list[Case]]:
    """The cases of each group."""
    return [list(group) for _, group in groupby(cases, key=lambda case: case.group)]


async def run(client: Client, protocol: str, stand: Stand, *, only: Sequence[str] = ()) -> Outcome:
    """The client on the site; ``only`` names the groups asked for, all if there are none."""
    outcome = Outcome(client.name, protocol)
    if client.ask is not None:
        asked = [case for case in site_cases(stand.token) if case.group not in client.left_out]
        cases = [case for case in asked if not only or case.group in only]
        for case, answer in zip(cases, await client.ask(stand, protocol, cases), strict=True):
            wrong = fault(case, answer, protocol, unpacked=client.unpacks)
            passed, tried = outcome.counts.get(case.group, (0, 0))
            outcome.counts[case.group] = passed + (not wrong), tried + 1
            if wrong:
                outcome.faults.append(f"{case.group}: {case.name}: {wrong}")
    for group, special in client.specials.items():
        if not only or group in only:
            passed, tried = await special(stand, protocol)
            if tried:
                outcome.counts[group] = passed, tried
            if passed < tried:
                outcome.faults.append(f"{group}: {passed} of {tried}")
    return outcome
