from edgeproxy.supervisor.backoff import Backoff


def test_short_lives_wait_ever_longer_up_to_half_a_minute():
    backoff = Backoff()
    assert [backoff.after(1.0) for _ in range(9)] == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_good_life_starts_over():
    backoff = Backoff()
    for _ in range(5):
        backoff.after(0.1)
    assert backoff.after(61.0) == 0
    assert backoff.after(0.1) == 0.5
