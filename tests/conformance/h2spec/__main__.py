"""``python -m tests.conformance.h2spec``: run the cases, print those not passed, write docs/h2spec.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.conformance.h2spec.cases import CASES
from tests.conformance.h2spec.report import PAGE, page
from tests.conformance.h2spec.server import WAYS, Server


def main() -> int:
    """The exit status: 0 all passed, 1 some did not."""
    failed: dict[str, list[str]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        for way in WAYS:
            for case in CASES:
                with server.connect(way) as wire:
                    try:
                        case.run(wire)
                    except AssertionError as error:
                        failed[way].append(case.id)
                        print(f"h2spec: {way}: {error}", file=sys.stderr)
            print(f"{way}: {len(CASES) - len(failed[way])} of {len(CASES)} cases passed")
    PAGE.write_text(page(failed), encoding="utf-8")
    print(f"written: {PAGE}")
    return 1 if any(failed.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
