"""The table of hostile requests: what is sent, what may come of it, and the rule that says so."""

from tests.integration.wire.cases import framing, heads, semantics, targets
from tests.integration.wire.cases.case import Case

CASES: list[Case] = [*framing.CASES, *heads.CASES, *targets.CASES, *semantics.CASES]

__all__ = ["CASES", "Case"]
