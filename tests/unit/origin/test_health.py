from __future__ import annotations

from edgeproxy.config.pools import HealthConfig
from edgeproxy.origin.health import Health


def judged(checks: str, *, rise: int, fall: int) -> str:
    """``checks`` as + and -; the judgement after each."""
    health = Health(HealthConfig(rise=rise, fall=fall))
    out = ""
    for check in checks:
        before = health.healthy
        assert health.observe(check == "+") == (health.healthy != before)
        out += "u" if health.healthy else "d"
    return out


def test_checks_in_a_row_change_the_judgement():
    assert judged("+--+---+-++--", rise=2, fall=3) == "uuuuuudddduuu"


def test_one_check_suffices_when_told_so():
    assert judged("-+-+", rise=1, fall=1) == "dudu"
