"""What is remembered of credentials: for a while, and bounded."""

from __future__ import annotations

from edgeproxy.identity.remembered import Remembered


def test_a_value_is_there_until_its_time() -> None:
    known: Remembered[str] = Remembered(10)
    known.put(b"a", "x", 5.0)
    assert (known.get(b"a", 4.9), known.get(b"a", 5.0), known.get(b"b", 0.0)) == ("x", None, None)


def test_a_flood_stays_within_the_bound_and_what_is_asked_for_stays() -> None:
    known: Remembered[int] = Remembered(100)
    for number in range(1000):
        known.put(b"%d" % number, number, 9.0)
        assert known.get(b"0", 0.0) == 0
        assert len(known) <= 100
    assert known.get(b"500", 0.0) is None


def test_forgetting_forgets_all() -> None:
    known: Remembered[int] = Remembered(4)
    for number in range(4):
        known.put(b"%d" % number, number, 9.0)
    known.forget()
    assert [known.get(b"%d" % number, 0.0) for number in range(4)] == [None] * 4


def test_digests_are_this_memorys_own() -> None:
    one, other = Remembered[int](4), Remembered[int](4)
    assert one.digest(b"secret") == one.digest(b"secret")
    assert one.digest(b"secret") != other.digest(b"secret")
    assert one.digest(b"secret") != one.digest(b"secreT")
    assert b"secret" not in repr(one).encode()
