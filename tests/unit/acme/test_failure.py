from __future__ import annotations

from edgeproxy.acme.failure import LONGEST, AcmeError, one_line


def test_a_reason_is_one_printable_line_of_bounded_length() -> None:
    assert one_line("a\r\nb\t\x1b[2Jc") == "a b [2Jc"
    assert one_line("x" * 1000) == "x" * (LONGEST - 1) + "…"
    assert str(AcmeError("refused:\nno")) == "refused: no"


def test_an_error_says_whose_fault_it_is_and_how_long_to_wait() -> None:
    error = AcmeError("gone", 5.0, whole=True, code="serverInternal")
    assert (error.retry_after, error.whole, error.code) == (5.0, True, "serverInternal")
    assert (AcmeError("x").retry_after, AcmeError("x").whole, AcmeError("x").code) == (0.0, False, "")
