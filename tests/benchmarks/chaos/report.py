"""docs/chaos.json and docs/chaos.md, from what became of the requests."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.chaos.region import Killed
from tests.benchmarks.chaos.session import WAYS, Outcome, Times
from tests.benchmarks.chaos.steady import Summary
from tests.benchmarks.servers import ORIGIN_CORE, SERVER_CORE, Template
from tests.support.failing import Fault

PAGE = Path(__file__).with_name("page.md")
JSON_NAME, MARKDOWN_NAME = "chaos.json", "chaos.md"
MOST_SLOWER = 3.0  # p99 over that of quiet time
_NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}
_WORDS = {
    Fault.STALL: "stalls",
    Fault.RESET: "resets",
    Fault.ERROR: "answers 500",
    Fault.TRICKLE: "trickles",
    Fault.BLACK_HOLE: "is a black hole",
    Fault.DRIP: "trickles its bodies",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: quiet time by proxy, every combination of failures, a region killed, and how."""

    quiet: Mapping[str, Summary]
    outcomes: Sequence[Outcome]
    killed: Sequence[Killed]
    times: Times
    facts: Mapping[str, str]
    command: str


def verdict(outcome: Outcome, quiet: Summary) -> list[str]:
    """What was promised and not kept; empty if all was."""
    found = []
    if outcome.whole.failed:
        found.append(f"{outcome.whole.failed} of {outcome.whole.requests} requests failed")
    if outcome.learned.p99 > MOST_SLOWER * quiet.p99:
        found.append(f"p99 in ms: {_ms(outcome.learned.p99)}, {_ms(quiet.p99)} in quiet time")
    if outcome.retries > outcome.allowed:
        found.append(f"{outcome.retries:.0f} retries, at most {outcome.allowed:.0f} in the budget")
    if outcome.back is None:
        found.append("a healed origin was not asked again")
    return found


def table(measured: Measured) -> str:
    """The Markdown table: each single failure, then all combinations of as many."""
    proxies = list(measured.quiet)
    head = ["of five origins", *(f"{name}: {what}" for what in ("failed", "p99", "back") for name in proxies)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    quiet = measured.quiet.values()
    cells = [_share(each.failed, each.requests) for each in quiet] + [_ms(each.p99) for each in quiet]
    lines.append(f"| all are well | {' | '.join(cells)} |{'  |' * len(proxies)}")
    for name, chosen in _groups(measured.outcomes):
        own = [[each for each in measured.outcomes if each.proxy == proxy and chosen(each)] for proxy in proxies]
        failed = [_share(sum(o.whole.failed for o in each), sum(o.whole.requests for o in each)) for each in own]
        p99 = [_ms(max(o.learned.p99 for o in each)) for each in own]
        ends = [_worst(o.back for o in each) for each in own]
        lines.append(f"| {name} | {' | '.join([*failed, *p99, *ends])} |")
    return "\n".join(lines)


def extremes(measured: Measured) -> str:
    """A table of what all combinations together show."""
    head = ("", "requests", "failed", "p99 at worst, over quiet time", "longest answer", "requests to origins, each")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, quiet in measured.quiet.items():
        own = promised(measured, name)
        asked, failed = sum(o.whole.requests for o in own), sum(o.whole.failed for o in own)
        slower = max(o.learned.p99 for o in own) / quiet.p99
        answered = [o.whole.longest for o in own if not o.whole.failed]
        cells = (
            name,
            f"{asked:,}",
            f"{failed:,} ({_share(failed, asked)})",
            "failed" if math.isinf(slower) else f"{slower:.1f} times",
            f"{max(answered):.2f} s" if answered else "",
            f"{sum(o.sent * o.whole.requests for o in own) / asked:.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def killed(measured: Measured) -> str:
    """The table of a region that dies."""
    head = ("a region's origins", "proxy", "failed", "longest answer meanwhile, ms", "back after")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for each in measured.killed:
        back = "never" if each.back is None else f"{each.back:.1f} s"
        failed = _share(each.whole.failed, each.whole.requests)
        lines.append(f"| {each.how} | {each.proxy} | {failed} | {_ms(each.longest)} | {back} |")
    return "\n".join(lines)


def broken(measured: Measured) -> str:
    """What edgeproxy did not keep, as a list; a sentence where it kept all."""
    own = promised(measured, "edgeproxy")
    lines = [f"* {named(each.faults)}: {why}." for each in own for why in verdict(each, measured.quiet[each.proxy])]
    return "\n".join(lines) or f"In all {len(own)} combinations edgeproxy kept each of these."


def promised(measured: Measured, proxy: str) -> list[Outcome]:
    """What a proxy made of the failures that can be kept from clients: an answer that has begun cannot be repeated."""
    return [each for each in measured.outcomes if each.proxy == proxy and Fault.DRIP not in each.faults]


def named(faults: Sequence[Fault]) -> str:
    """``one stalls, one resets``."""
    return ", ".join(f"one {_WORDS[fault]}" for fault in faults)


def write(folder: Path, measured: Measured) -> None:
    """Both files, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    times = measured.times
    document = {
        "command": measured.command,
        "facts": dict(measured.facts),
        "seconds": {"quiet": times.quiet, "learning": times.learning, "measured": times.measured},
        "rate": times.rate,
        "quiet": {name: _summary(summary) for name, summary in measured.quiet.items()},
        "combinations": [_outcome(each) for each in measured.outcomes],
        "regions": [
            {
                "how": each.how,
                "proxy": each.proxy,
                **_summary(each.whole),
                "failover_ms": _number(each.longest),
                "back_s": each.back,
            }
            for each in measured.killed
        ],
    }
    (folder / JSON_NAME).write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    (folder / MARKDOWN_NAME).write_text(
        Template(PAGE.read_text()).substitute(
            command=measured.command,
            table=table(measured),
            extremes=extremes(measured),
            killed=killed(measured),
            broken=broken(measured),
            combinations=len({each.faults for each in promised(measured, "edgeproxy")}),
            learning=f"{times.learning:g}",
            measured=f"{times.measured:g}",
            rate=f"{times.rate:g}",
            server_core=SERVER_CORE,
            origin_core=ORIGIN_CORE,
            facts="\n".join(f"| {name} | {value} |" for name, value in measured.facts.items()),
        )
    )


def _groups(outcomes: Sequence[Outcome]) -> Iterable[tuple[str, Callable[[Outcome], bool]]]:
    for way in (*WAYS, Fault.DRIP):
        if any(each.faults == (way,) for each in outcomes):
            yield named((way,)), lambda each, way=way: each.faults == (way,)
    for count in sorted({len(each.faults) for each in outcomes} - {1}):
        amount = len({each.faults for each in outcomes if len(each.faults) == count})
        name = f"any {_NUMBERS[count]} of the five ways ({amount})"
        yield name, lambda each, count=count: len(each.faults) == count


def _outcome(outcome: Outcome) -> dict[str, object]:
    return {
        "proxy": outcome.proxy,
        "faults": [fault.value for fault in outcome.faults],
        **_summary(outcome.whole),
        "learned": _summary(outcome.learned),
        "back_s": None if outcome.back is None else round(outcome.back, 2),
        "sent_per_request": round(outcome.sent, 3),
        "failures": list(outcome.failures),
        "retries": outcome.retries,
        "allowed": round(outcome.allowed, 1),
    }


def _summary(summary: Summary) -> dict[str, object]:
    """Times in ms, null where the request failed."""
    return {
        "requests": summary.requests,
        "failed": summary.failed,
        "p50_ms": _number(summary.p50),
        "p99_ms": _number(summary.p99),
        "longest_ms": _number(summary.longest),
    }


def _number(seconds: float) -> float | None:
    return None if math.isinf(seconds) else round(seconds * 1e3, 1)


def _share(failed: int, asked: int) -> str:
    return f"{failed / asked:.2%}" if failed else "0"


def _ms(seconds: float) -> str:
    return "failed" if math.isinf(seconds) else f"{seconds * 1e3:.0f}"


def _worst(ends: Iterable[float | None]) -> str:
    known = list(ends)
    return "never" if None in known else f"{max(end for end in known if end is not None):.1f}"
