"""Redirects: rules, https, one host name; and that nobody can be sent to a stranger."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgeproxy.errors import EdgeError
from edgeproxy.http.target import parse_target
from middleware.redirects import Redirects
from tests.support.stages import exchange, stage


def redirected(
    settings: dict[str, Any], target: bytes = b"/", *, authority: bytes = b"example.com", scheme: bytes = b"http"
) -> tuple[int, bytes] | None:
    """Status and Location, None if the request goes on."""
    sent, path, query = parse_target(target)
    x = exchange(sent, scheme=scheme, authority=authority)
    x.request.path, x.request.query = path, query
    answer = stage(Redirects, settings).request(x)
    return None if answer is None else (answer.status, answer.headers()[b"location"])


def rule(**settings: Any) -> dict[str, Any]:
    return {"rules": [settings]}


def test_nothing_is_redirected_unless_something_applies() -> None:
    assert redirected({}) is None
    assert redirected(rule(path="/old", to="/new"), b"/older") is None
    assert redirected({"https": True}, scheme=b"https") is None
    assert redirected({"canonical_host": "example.com"}) is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_exact_path_and_every_status(status: int) -> None:
    assert redirected(rule(path="/old", to="/new", status=status), b"/old") == (status, b"/new")


def test_the_default_status_keeps_the_method() -> None:
    assert redirected(rule(path="/old", to="/new"), b"/old") == (308, b"/new")


@pytest.mark.parametrize(
    ("target", "location"),
    [
        (b"/old", b"/new/"),
        (b"/old/", b"/new/"),
        (b"/old/a/b", b"/new/a/b"),
        (b"/older", None),
        (b"/old/caf%C3%A9%20x", b"/new/caf%C3%A9%20x"),
        (b"/old/a%2Fb", b"/new/a%2Fb"),
        (b"/old/a%3Fb%23c", b"/new/a%3Fb%23c"),
    ],
)
def test_a_prefix_ends_where_a_segment_does(target: bytes, location: bytes | None) -> None:
    found = redirected(rule(prefix="/old", to="/new/{rest}"), target)
    assert (found and found[1]) == location


def test_a_regex_matches_the_whole_path_and_gives_groups() -> None:
    settings = rule(regex=r"/blog/(\d+)/(?P<slug>[a-z-]+)", to="https://blog.example.org/{slug}?id={1}")
    assert redirected(settings, b"/blog/12/a-b") == (308, b"https://blog.example.org/a-b?id=12")
    assert redirected(settings, b"/blog/12/a-b/c") is None
    assert redirected(settings, b"/x/blog/12/a-b") is None


def test_the_query_is_kept_or_dropped() -> None:
    assert redirected(rule(path="/a", to="/b"), b"/a?x=1&y=%20") == (308, b"/b?x=1&y=%20")
    assert redirected(rule(path="/a", to="/b?z=2#f"), b"/a?x=1") == (308, b"/b?z=2&x=1#f")
    assert redirected(rule(path="/a", to="/b", query="drop"), b"/a?x=1") == (308, b"/b")


def test_the_first_rule_in_order_counts_whatever_its_form() -> None:
    rules = [
        {"prefix": "/a/x", "to": "/first"},
        {"path": "/a/b", "to": "/second"},
        {"regex": "/a/.*", "to": "/third"},
        {"path": "/a/c", "to": "/fourth"},
    ]
    found = [redirected({"rules": rules}, target) for target in (b"/a/x", b"/a/b", b"/a/c")]
    assert found == [(308, b"/first"), (308, b"/second"), (308, b"/third")]


def test_a_rule_may_be_for_some_hosts() -> None:
    settings = rule(path="/a", to="/b", host=["one.example", "*.two.example"])
    assert redirected(settings, b"/a", authority=b"one.example")
    assert redirected(settings, b"/a", authority=b"x.two.example")
    assert redirected(settings, b"/a", authority=b"two.example") is None
    assert redirected(settings, b"/a", authority=b"example.com") is None


@pytest.mark.parametrize(
    ("settings", "authority", "location"),
    [
        ({"https": True}, b"example.com", b"https://example.com/a?b=1"),
        ({"https": True}, b"example.com:8080", b"https://example.com/a?b=1"),
        ({"https": True, "https_port": 8443}, b"example.com:8080", b"https://example.com:8443/a?b=1"),
        ({"canonical_host": "www.example.com"}, b"example.com", b"http://www.example.com/a?b=1"),
        ({"canonical_host": "example.com"}, b"www.example.com:8080", b"http://example.com:8080/a?b=1"),
        ({"canonical_host": "example.com", "https": True}, b"www.example.com:80", b"https://example.com/a?b=1"),
    ],
)
def test_https_and_the_one_host_name(settings: dict[str, Any], authority: bytes, location: bytes) -> None:
    assert redirected(settings, b"/a?b=1", authority=authority) == (308, location)


def test_all_that_applies_is_one_redirect() -> None:
    settings = {"https": True, "canonical_host": "www.example.com", **rule(path="/a", to="/b", status=301)}
    assert redirected(settings, b"/a") == (301, b"https://www.example.com/b")


def test_a_redirect_to_where_the_request_is_already_is_none() -> None:
    assert redirected(rule(regex="/(.*)", to="/{1}"), b"/a") is None
    assert redirected(rule(regex="/(.*)", to="https://example.com/{1}"), b"/a", scheme=b"https") is None


def test_the_asterisk_target_goes_on() -> None:
    x = exchange(b"*", method=b"OPTIONS")
    assert stage(Redirects, {"https": True}).request(x) is None


@pytest.mark.parametrize(
    "settings",
    [
        rule(path="/a", prefix="/b", to="/c"),
        rule(to="/c"),
        rule(path="/a", to="/a"),
        rule(path="/a", to="b"),
        rule(path="/a", to="//evil.example"),
        rule(path="/a", to="/\\evil.example"),
        rule(path="/a", to="javascript:alert(1)"),
        rule(path="/a", to="/b", status=200),
        rule(path="/a", to="/{1}"),
        rule(regex="(", to="/b"),
        rule(regex="/(.*)", to="/{2}"),
        rule(regex="/(.*)", to="{1}"),
        rule(regex="/(.*)", to="https://{1}/"),
        rule(regex="/(.*)", to="https://example.com{1}"),
        rule(regex="/(.*)", to="https://{1}.example.com/"),
        rule(regex="/(.*)", to="https://user@example.com/{1}"),
        rule(regex="/(.*)", to="//{1}"),
        rule(path="/a", to="/b c"),
        rule(path="/a", to="/b\r\nx: y"),
        {"canonical_host": "*.example.com"},
    ],
)
def test_unsafe_and_senseless_rules_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(Redirects, settings)


@pytest.mark.parametrize(
    "to", ["/{1}", "{path}", "{path}/x", "https://example.com/{1}", "https://{host}/{1}", "/x/{1}", "/x?u={1}"]
)
@pytest.mark.parametrize(
    "target",
    [
        b"//evil.example/x",
        b"///evil.example",
        b"/%2F/evil.example",
        b"/%5Cevil.example",
        b"/\\evil.example",
        b"/%09/evil.example",
        b"/%0d%0aLocation:%20https://evil.example",
        b"/@evil.example",
        b"/https:%2F%2Fevil.example",
    ],
)
def test_no_path_changes_the_host_redirected_to(to: str, target: bytes) -> None:
    found = redirected(rule(regex="/(.*)", to=to), target)
    if found is not None:
        assert leads_to(found[1]) in {"example.com", ""}


@given(st.text(alphabet="/\\%2Ff5Cc0dDaA@:.?#e \t\u00e9", max_size=24))
def test_no_fuzzed_path_changes_the_host_redirected_to(text: str) -> None:
    for to in ("/{1}", "{path}/x", "https://example.com/{1}"):
        try:
            found = redirected(rule(regex="(?s)/(.*)", to=to), b"/" + text.encode())
        except EdgeError:
            return
        if found is not None:
            assert leads_to(found[1]) in {"example.com", ""}


def leads_to(location: bytes) -> str:
    """The host a browser would go to; it takes a backslash for a slash and leaves out tabs and line ends."""
    text = location.decode("ascii")
    assert not any(character in text for character in "\r\n\t\\ \0")
    return urlsplit(text).hostname or ""
