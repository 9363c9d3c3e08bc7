"""What follows a page: learned when it is usual, forgotten when others are, never without bound."""

from __future__ import annotations

from edgeproxy.cache.followers import COUNTERS, LEAST, LONGEST, PAGES, Followers

PAGE = b"https://a.test/"


def walked(times: int, *targets: bytes) -> Followers:
    """Views of a page, after each of which these were asked for."""
    followers = Followers()
    for _ in range(times):
        followers.visited(PAGE)
        for target in targets:
            followers.followed(PAGE, target)
    return followers


def test_what_usually_follows_is_likely() -> None:
    followers = walked(10, b"/next")
    followers.followed(PAGE, b"/seldom")
    assert followers.likely(PAGE, 0.2) == [b"/next"]


def test_what_follows_most_often_comes_first() -> None:
    followers = walked(10, b"/a", b"/b")
    followers.followed(PAGE, b"/b")
    assert followers.likely(PAGE, 0.2) == [b"/b", b"/a"]


def test_a_few_times_are_no_habit() -> None:
    assert walked(LEAST - 1, b"/next").likely(PAGE, 0.01) == []
    assert walked(LEAST, b"/next").likely(PAGE, 0.01) == [b"/next"]


def test_what_is_a_small_share_of_the_views_is_not_likely() -> None:
    followers = walked(4, b"/next")
    for _ in range(20):
        followers.visited(PAGE)
    assert followers.likely(PAGE, 0.2) == []
    assert followers.likely(PAGE, 0.1) == [b"/next"]


def test_nothing_is_learned_of_pages_that_were_not_answered_here() -> None:
    followers = Followers()
    for _ in range(10):
        followers.followed(b"https://a.test/invented", b"/next")
    assert followers.likely(b"https://a.test/invented", 0.01) == []
    assert len(followers) == 0


def test_a_crowd_of_followers_does_not_displace_the_usual_one() -> None:
    followers = Followers()
    for number in range(1_000):
        followers.visited(PAGE)
        followers.followed(PAGE, b"/next")
        followers.followed(PAGE, b"/%d" % number)
    assert followers.likely(PAGE, 0.5) == [b"/next"]
    assert len(followers._new[PAGE].counts) == COUNTERS


def test_the_number_of_pages_has_a_bound_and_those_in_use_stay() -> None:
    followers = walked(10, b"/next")
    for number in range(4 * PAGES):
        followers.visited(b"https://a.test/%d" % number)
        if number % 1_000 == 0:
            followers.visited(PAGE)
        assert len(followers) <= 2 * PAGES
    assert followers.likely(PAGE, 0.2) == [b"/next"]
    assert followers.likely(b"https://a.test/0", 0.0) == []


def test_long_ones_are_not_kept() -> None:
    followers = walked(5, b"/" + b"x" * LONGEST)
    assert followers.likely(PAGE, 0.01) == []
    followers.visited(PAGE + b"x" * LONGEST)
    assert len(followers) == 1
