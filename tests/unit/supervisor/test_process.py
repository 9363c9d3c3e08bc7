import pytest

from edgeproxy.supervisor.process import ending


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "exit status 0"), (3, "exit status 3"), (-9, "SIGKILL"), (-15, "SIGTERM"), (-50, "signal 50")],
)
def test_an_exit_status_is_said_in_words(status, words):
    assert ending(status) == words
