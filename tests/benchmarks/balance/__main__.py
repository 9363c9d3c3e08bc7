"""``python -m tests.benchmarks.balance``: simulate, print, write docs/balance.md and docs/balance.json; ``--processes``
measures with real processes instead. What the other one found stays in the files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from edgeproxy.training.queueing import Run
from edgeproxy.training.world import World, world
from tests.benchmarks.balance import loopback, model, report
from tests.benchmarks.balance.figures import Figures, Line, Table, markdown
from tests.benchmarks.balance.policies import DEFAULT, OFFERED, REFERENCE, WITHOUT, Policy, with_model

DOCS = Path(__file__).parents[3] / "docs"
COMMAND = "python -m tests.benchmarks.balance"
SECONDS, WARM_UP = 25.0, 5.0
SHIFT_AT = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 measured, 1 the default did not reach what it must."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--processes", action="store_true", help="measure with real processes on loopback")
    parser.add_argument("--seeds", type=int, default=10, help="simulated worlds (default 10)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds with real processes (default 10)")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of the report (default docs/)")
    options = parser.parse_args(arguments)
    if options.processes:
        table = loopback.measure(options.rounds)
        print(markdown(table.rows()))
        report.write(options.output, {"loopback": report.section(table, options.rounds)})
        return 0
    shipped = model.shipped()
    asking = with_model(shipped.predict)
    usual = simulate((*OFFERED, *WITHOUT, *asking), options.seeds)
    shift = simulate((REFERENCE, DEFAULT, *asking[:1]), options.seeds, shift_at=SHIFT_AT)
    print(markdown(usual.rows()), markdown(shift.rows()), sep="\n\n")
    sections = {"simulation": report.section(usual, options.seeds), "shift": report.section(shift, options.seeds)}
    report.write(options.output, sections | {"model": report.of_model(shipped, usual, shift)})
    reached = usual.against(DEFAULT.name).mean <= -report.MUST
    return 0 if reached else 1


def simulate(policies: Sequence[Policy], seeds: int, *, shift_at: float | None = None) -> Table:
    """Every policy in the same worlds. What comes before the warm-up's end, or the shift, is not counted."""
    runs: dict[str, list[Figures]] = {policy.name: [] for policy in policies}
    for seed in range(1, seeds + 1):
        given = world(seed, SECONDS) if shift_at is None else world(seed, SECONDS, shift_at=shift_at)
        for policy in policies:
            runs[policy.name].append(_figures(given, policy, seed, WARM_UP if shift_at is None else shift_at))
        print(f"  seed {seed} of {seeds}", file=sys.stderr)
    return Table(tuple(Line(p.name, p.offered, tuple(runs[p.name])) for p in policies), REFERENCE.name)


def _figures(given: World, policy: Policy, seed: int, since: float) -> Figures:
    times = Run(given, policy.make, seed, kinds=policy.kinds).run()
    return Figures.of([taken for at, taken in times if at >= since])


if __name__ == "__main__":
    sys.exit(main())
