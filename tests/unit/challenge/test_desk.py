"""What those get who are stopped: a page or a line, a clearance for an answer, no loop, no other host."""

from __future__ import annotations

import re
from html import unescape
from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.clock import ManualClock
from edgeproxy.errors import EdgeError
from edgeproxy.http.message import Response
from edgeproxy.http.target import parse_target
from edgeproxy.pipeline.location import escape
from middleware.challenge import Challenge
from tests.support.challenge import puzzle_on, solve, wrong
from tests.support.stages import CHROME, exchange, services, stage

MARK = b"?edge-challenge="


class Visitor:
    """Someone who is challenged on every page, at a clock of their own."""

    def __init__(self, **settings: Any) -> None:
        self.clock = ManualClock()
        self.lent = services(self.clock)
        self.stage = stage(Challenge, {"difficulty": 8, **settings}, self.lent)

    def ask(self, target: bytes = b"/", **more: Any) -> Response:
        answer = self.maybe(target, **more)
        assert answer is not None
        return answer

    def maybe(self, target: bytes = b"/", *, treatment: str = "challenge", **more: Any) -> Response | None:
        headers = CHROME | more.pop("headers", {})
        x = exchange(target, {name: value for name, value in headers.items() if value is not None}, **more)
        x.treatment, x.started, x.id = treatment, self.clock.monotonic(), b"f00"
        return self.stage.request(x)

    def puzzle(self, target: bytes = b"/", **more: Any) -> bytes:
        return puzzle_on(body(self.ask(target, **more)))

    def outcomes(self) -> dict[str, float]:
        series = self.lent.metrics.counter("edgeproxy_challenges_total", "", ("outcome",)).dump()["series"]
        return {labels[0]: values[0] for labels, values in series}


VISITOR = Visitor()


def body(answer: Response) -> bytes:
    assert isinstance(answer.body, bytes)
    return answer.body


def cookie(answer: Response) -> bytes:
    return (answer.get(b"set-cookie") or b"").partition(b";")[0]


def heading(answer: Response) -> bytes:
    found = re.search(rb"<h1>(.+)</h1>", body(answer))
    assert found is not None
    return found[1]


def test_a_page_is_kept_by_nobody_and_lets_nothing_else_in() -> None:
    answer = Visitor().ask(headers={b"accept-language": b"de"})
    nonce = re.search(rb'<script [^>]*nonce="([\w-]{22})"', body(answer))
    assert nonce is not None
    assert answer.status == 403
    assert answer.headers() == {
        b"cache-control": b"no-store",
        b"edge-mitigated": b"challenge",
        b"content-type": b"text/html; charset=utf-8",
        b"content-language": b"de",
        b"content-security-policy": b"default-src 'none'; script-src 'nonce-%b'; style-src 'nonce-%b'; "
        b"worker-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        % (nonce[1], nonce[1]),
    }
    assert b"www.example.com" in body(answer)
    assert b"f00" in body(answer)


@pytest.mark.parametrize("query", [b'a="><script>', b"copy=1&reg=2", b"a='><b>", b"<a>&#34;%22\xff"])
def test_a_query_gets_into_a_page_as_text(query: bytes) -> None:
    page = body(VISITOR.ask(b"/p?" + query)).decode()
    rests = re.findall(r'data-rest="([^"]*)"', page)
    assert [unescape(rest) for rest in rests] == ["&" + escape(query).decode()]
    assert f'href="?edge-challenge={puzzle_on(page.encode()).decode()}{rests[0]}"' in page
    assert page.count("<script") == 1
    assert "<b>" not in page


def test_nonces_differ() -> None:
    visitor = Visitor()
    policies = {visitor.ask().get(b"content-security-policy") for _ in range(10)}
    assert len(policies) == 10


@pytest.mark.parametrize(
    ("headers", "paged"),
    [
        ({}, True),
        ({b"sec-fetch-dest": None}, True),
        ({b"sec-fetch-dest": b"empty"}, False),
        ({b"sec-fetch-dest": b"iframe"}, False),
        ({b"accept": b"*/*"}, False),
        ({b"accept": None, b"sec-fetch-dest": None}, False),
        ({b"accept": b"application/json, text/html;q=0"}, False),
        ({b"accept": b"application/json, TEXT/HTML ;q=0.1"}, True),
        ({b"accept": b"text/htmlx, x-text/html"}, False),
        ({b"accept": b"application/xhtml+xml"}, True),
    ],
)
def test_programs_get_a_line_and_people_a_page(headers: dict[bytes, bytes | None], paged: bool) -> None:
    answer = Visitor().ask(headers=headers)
    assert answer.status == 403
    assert answer.get(b"edge-mitigated") == b"challenge"
    assert answer.get(b"cache-control") == b"no-store"
    assert (answer.get(b"content-type") == b"text/html; charset=utf-8") is paged
    if not paged:
        assert body(answer) == b"403 This needs a browser: open the address in one, then try again.\n"


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE"])
def test_what_changes_something_is_not_sent_again_by_us(method: bytes) -> None:
    visitor = Visitor()
    answer = visitor.ask(b"/form?a=b", method=method)
    assert heading(answer) == b"Nothing was sent yet"
    assert answer.status == 403
    assert b"<script" not in body(answer)
    assert b"http-equiv" not in body(answer)
    assert visitor.outcomes() == {"unsent": 1}


def test_an_answer_earns_a_clearance_and_the_way_back() -> None:
    visitor = Visitor(clearance="10m")
    solved = solve(visitor.puzzle(b"/a/b?x=1&y=2"))
    visitor.clock.advance(3)
    answer = visitor.ask(b"/a/b" + MARK + solved + b"&x=1&y=2")
    assert (answer.status, answer.get(b"location"), answer.get(b"cache-control")) == (
        303,
        b"?edge-challenge=back&x=1&y=2",
        b"no-store",
    )
    morsel = SimpleCookie((answer.get(b"set-cookie") or b"").decode())["edge_clearance"]
    assert (morsel["path"], morsel["max-age"], morsel["samesite"]) == ("/", "597", "Lax")
    assert morsel["httponly"]
    assert not morsel["secure"]
    back = visitor.ask(b"/a/b?edge-challenge=back&x=1&y=2", headers={b"cookie": cookie(answer)})
    assert (back.status, back.get(b"location"), back.get(b"set-cookie")) == (303, b"/a/b?x=1&y=2", None)
    assert visitor.maybe(b"/a/b?x=1&y=2", headers={b"cookie": cookie(answer)}) is None
    assert visitor.outcomes() == {"served": 1, "solved": 1, "cleared": 1}


def test_over_https_the_cookie_stays_there() -> None:
    visitor = Visitor(cookie="__Host-clear")
    answer = visitor.ask(b"/" + MARK + solve(visitor.puzzle(scheme=b"https")), scheme=b"https")
    assert re.fullmatch(
        rb"__Host-clear=[\w.-]+; Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure", answer.get(b"set-cookie") or b""
    )


def test_an_answer_shown_again_gives_the_very_same_clearance() -> None:
    visitor = Visitor()
    solved = solve(visitor.puzzle())
    first = cookie(visitor.ask(b"/" + MARK + solved))
    visitor.clock.advance(200)
    assert cookie(visitor.ask(b"/" + MARK + solved)) == first


def test_an_answer_is_of_use_to_nobody_else() -> None:
    visitor = Visitor()
    solved = solve(visitor.puzzle())
    for more in ({"client": "192.0.2.9"}, {"headers": {b"user-agent": b"curl/8.0"}}):
        answer = visitor.ask(b"/" + MARK + solved, **more)
        assert (answer.status, answer.get(b"set-cookie")) == (403, None)


def test_a_puzzle_that_was_left_lying_is_too_old() -> None:
    visitor = Visitor(solve_within="1m")
    solved = solve(visitor.puzzle())
    visitor.clock.advance(61)
    answer = visitor.ask(b"/" + MARK + solved)
    assert (answer.status, answer.get(b"set-cookie")) == (403, None)


def test_without_javascript_a_wait_will_do() -> None:
    visitor = Visitor(wait="4s")
    puzzle = visitor.puzzle(b"/p?q")
    visitor.clock.advance(3)
    early = visitor.ask(b"/p" + MARK + puzzle + b"&q")
    assert (early.status, early.get(b"set-cookie")) == (403, None)
    visitor.clock.advance(1)
    answer = visitor.ask(b"/p" + MARK + puzzle + b"&q")
    assert (answer.status, answer.get(b"location")) == (303, b"?edge-challenge=back&q")
    assert visitor.maybe(b"/p?q", headers={b"cookie": cookie(answer)}) is None
    assert visitor.outcomes() == {"served": 2, "failed": 1, "waited": 1, "cleared": 1}


def test_where_a_wait_will_not_do_time_changes_nothing() -> None:
    visitor = Visitor(without_javascript="refuse")
    puzzle = visitor.puzzle()
    visitor.clock.advance(100)
    assert visitor.ask(b"/" + MARK + puzzle).status == 403
    assert visitor.ask(b"/" + MARK + solve(puzzle)).status == 303


def test_a_browser_without_cookies_is_told_and_not_sent_round() -> None:
    visitor = Visitor()
    answer = visitor.ask(b"/p" + MARK + b"back&x=%3Cb%3E&y='2'", headers={b"accept-language": b"fr"})
    assert (answer.status, heading(answer)) == (403, "Les cookies sont nécessaires".encode())
    assert answer.get(b"content-language") == b"fr"
    assert b'href="/p?x=%3Cb%3E&amp;y=&#x27;2&#x27;"' in body(answer)
    assert b"<script" not in body(answer)
    assert b"http-equiv" not in body(answer)
    assert visitor.outcomes() == {"no_cookies": 1}


def test_a_young_clearance_that_does_not_fit_starts_nothing_by_itself() -> None:
    """Whoever comes from another address each time would go round for ever."""
    visitor = Visitor()
    headers = {b"cookie": cookie(visitor.ask(b"/" + MARK + solve(visitor.puzzle())))}
    for target in (b"/", b"/" + MARK + b"back"):
        page = body(visitor.ask(target, client="192.0.2.9", headers=headers))
        assert b'data-start="hand"' in page
        assert b"http-equiv" not in page
    visitor.clock.advance(61)
    assert b'data-start="itself"' in body(visitor.ask(client="192.0.2.9", headers=headers))


def test_a_wrong_answer_starts_nothing_by_itself() -> None:
    visitor = Visitor()
    page = body(visitor.ask(b"/p" + MARK + wrong(visitor.puzzle()) + b"&x=1"))
    assert b'data-start="hand"' in page
    assert b'data-rest="&amp;x=1"' in page, "and still leads back to where it began"


def test_too_many_wrong_answers_of_a_network_get_429_and_a_right_one_still_passes() -> None:
    visitor = Visitor(failures="3/m")
    answers = [visitor.ask(b"/" + MARK + b"made-up") for _ in range(4)]
    assert [answer.status for answer in answers] == [403, 403, 403, 429]
    assert answers[-1].get(b"retry-after") == b"20"
    assert heading(answers[-1]) == b"Too many attempts"
    assert visitor.ask(b"/" + MARK + b"made-up", client="192.0.2.9").status == 403
    assert visitor.ask(b"/" + MARK + solve(visitor.puzzle())).status == 303
    visitor.clock.advance(20)
    assert visitor.ask(b"/" + MARK + b"made-up").status == 403


def test_programs_with_wrong_answers_get_a_line() -> None:
    answer = Visitor().ask(b"/" + MARK + b"made-up", headers={b"accept": b"*/*"})
    assert answer.get(b"content-type") == b"text/plain; charset=utf-8"


def test_files_may_be_kept_for_good_and_are_had_by_everybody() -> None:
    visitor = Visitor()
    for name in re.findall(rb"[?]edge-challenge=([a-z]+-[0-9a-f]+[.](?:css|js))", body(visitor.ask())):
        answer = visitor.ask(b"/any/where" + MARK + name, treatment="", headers={b"accept": b"*/*"})
        assert answer.status == 200
        assert answer.headers() == {
            b"cache-control": b"public, max-age=31536000, immutable",
            b"content-security-policy": b"default-src 'none'",
            b"x-content-type-options": b"nosniff",
            b"content-type": b"text/css; charset=utf-8" if name.endswith(b"css") else b"text/javascript; charset=utf-8",
        }


def test_who_need_not_be_challenged_any_more_is_sent_on() -> None:
    visitor = Visitor()
    for word in (b"back", b"made-up", visitor.puzzle()):
        answer = visitor.ask(b"/p" + MARK + word + b"&x=1", treatment="")
        assert (answer.status, answer.get(b"location")) == (303, b"/p?x=1")


def test_only_the_first_parameter_is_ours() -> None:
    assert Visitor().maybe(b"/p?x=1&edge-challenge=back", treatment="") is None
    assert Visitor().maybe(b"/p?edge-challenges=back", treatment="") is None
    assert Visitor().maybe(b"/p" + MARK + b"back", treatment="", method=b"POST") is None


@pytest.mark.parametrize(
    ("path", "location"),
    [
        (b"//evil.example/x", b"/.//evil.example/x"),
        (b"/\\evil.example", b"/%5Cevil.example"),
        (b"/p;x=<y>", b"/p;x=%3Cy%3E"),
    ],
)
def test_the_way_back_leads_to_no_other_host(path: bytes, location: bytes) -> None:
    assert Visitor().ask(path + MARK + b"back", treatment="").get(b"location") == location


@given(st.binary(max_size=60))
def test_no_target_leads_astray_or_fails(text: bytes) -> None:
    try:
        target, _, _ = parse_target(
            b"/" + bytes(byte for byte in text if 0x20 < byte < 0x7F) + MARK + text.hex().encode()
        )
    except EdgeError:
        return
    answer = VISITOR.maybe(target, treatment="")
    if answer is not None:
        location = answer.get(b"location") or b""
        assert location.startswith(b"/")
        assert not location.startswith((b"//", b"/\\"))
    page = VISITOR.maybe(target)
    assert page is not None
    assert page.status in (403, 429)


@given(st.binary(max_size=120))
def test_nothing_that_is_asked_earns_a_clearance_or_fails(word: bytes) -> None:
    answer = VISITOR.ask(b"/" + MARK + word.replace(b"?", b""))
    assert answer.status in (403, 429)
    assert answer.get(b"set-cookie") is None
