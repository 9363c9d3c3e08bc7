import logging

from edgeproxy.observe.error_log import OneLine


def formatted(message, *arguments, exc_info=None):
    record = logging.LogRecord("edgeproxy", logging.WARNING, "f.py", 1, message, arguments, exc_info)
    record.created, record.msecs, record.process = 1_800_000_000.25, 250.0, 17
    return OneLine("worker").format(record)


def test_one_line_with_time_level_and_process():
    assert formatted("pool %s is down", "site") == "2027-01-15T08:00:00.250Z warning worker[17] pool site is down"


def test_a_message_cannot_forge_a_line():
    line = formatted("bad host %s", "a\n2027-01-15T08:00:00.250Z error forged\x1b[31m")
    assert "\n" not in line
    assert "\x1b" not in line
    assert r"a\n2027" in line


def test_a_traceback_stays_on_the_line():
    try:
        raise ValueError("boom")
    except ValueError as error:
        line = formatted("failed", exc_info=(ValueError, error, error.__traceback__))
    assert "\n" not in line
    assert "ValueError: boom" in line
