from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproxy.config.schema import MatchConfig
from edgeproxy.http.message import Request
from edgeproxy.routing import match
from edgeproxy.routing.match import Router
from tests.support.stages import route


def router(*matches: dict[str, Any]) -> Router:
    """Routes named by their place: r0, r1 …"""
    return Router([(MatchConfig(**match), route(name=f"r{i}")) for i, match in enumerate(matches)])


def request(path: str = "/", host: str = "www.example.com", method: str = "GET", **headers: str) -> Request:
    fields = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Request(method.encode(), path.encode(), fields, host=host.encode())


def taken(routes: Router, asked: Request) -> str | None:
    found = routes.match(asked)
    return None if found is None else found.name


def test_no_route_matches() -> None:
    assert taken(router({"host": "a.example"}), request(host="b.example")) is None
    assert taken(router(), request()) is None


@pytest.mark.parametrize("prefix", ["/v1", "/v1/"])
@pytest.mark.parametrize(
    ("path", "matches"),
    [
        ("/v1", True),
        ("/v1/", True),
        ("/v1/x", True),
        ("/v1/x/y", True),
        ("/v1x", False),
        ("/v", False),
        ("/x/v1", False),
    ],
)
def test_prefix_matches_whole_segments(prefix: str, path: str, matches: bool) -> None:
    assert (taken(router({"path": prefix}), request(path)) == "r0") is matches


def test_routes_are_found_by_name() -> None:
    routes = router({"path": "/a"}, {"path": "/b"})
    assert routes.named("r1") is routes.match(request("/b"))
    assert routes.named("r2") is None


def test_longest_prefix_wins_whatever_the_order() -> None:
    routes = router({"path": "/a"}, {"path": "/a/b/c"}, {"path": "/a/b"})
    assert taken(routes, request("/a/b/c/d")) == "r1"
    assert taken(routes, request("/a/b/cc")) == "r2"
    assert taken(routes, request("/a/x")) == "r0"


def test_exact_path_beats_prefix_beats_expression_beats_any() -> None:
    routes = router({}, {"path_regex": "^/a/x"}, {"path": "/a"}, {"path_exact": "/a/x"})
    assert taken(routes, request("/a/x")) == "r3"
    assert taken(routes, request("/a/xy")) == "r2"
    assert taken(router({}, {"path_regex": "^/a/x"}), request("/a/xy")) == "r1"
    assert taken(routes, request("/b")) == "r0"


def test_prefix_of_one_slash_is_any_path_and_yields_to_expressions() -> None:
    assert taken(router({"path": "/"}, {"path_regex": "x$"}), request("/x")) == "r1"


def test_exact_host_beats_longest_wildcard_beats_any() -> None:
    routes = router({}, {"host": "*.example.com"}, {"host": "*.b.example.com"}, {"host": "a.b.example.com"})
    assert taken(routes, request(host="a.b.example.com")) == "r3"
    assert taken(routes, request(host="x.b.example.com")) == "r2"
    assert taken(routes, request(host="b.example.com")) == "r1"
    assert taken(routes, request(host="example.com")) == "r0"
    assert taken(routes, request(host="example.org")) == "r0"


def test_host_counts_before_path() -> None:
    assert taken(router({"path_exact": "/x"}, {"host": "www.example.com"}), request("/x")) == "r1"


def test_less_specific_host_is_asked_when_no_path_of_the_exact_one_fits() -> None:
    routes = router({"host": "www.example.com", "path": "/api"}, {"host": "*.example.com", "path": "/x"}, {})
    assert taken(routes, request("/x")) == "r1"
    assert taken(routes, request("/other")) == "r2"


def test_method_mismatch_falls_through() -> None:
    routes = router({"path": "/a/b", "method": "POST"}, {"path": "/a"})
    assert taken(routes, request("/a/b", method="POST")) == "r0"
    assert taken(routes, request("/a/b", method="PUT")) == "r1"


def test_get_includes_head() -> None:
    assert taken(router({"method": "GET"}), request(method="HEAD")) == "r0"


def test_header_wants_the_whole_value_or_any() -> None:
    routes = router({"header": {"X-Beta": "1"}}, {"header": {"x-any": "*"}}, {})
    assert taken(routes, request(x_beta="1")) == "r0"
    assert taken(routes, request(x_beta="11")) == "r2"
    assert taken(routes, request(x_any="whatever")) == "r1"


def test_more_conditions_win_then_order() -> None:
    routes = router({"path": "/a"}, {"path": "/a", "method": "GET"}, {"path": "/a", "method": "GET"})
    assert taken(routes, request("/a")) == "r1"
    assert taken(routes, request("/a", method="PUT")) == "r0"


def test_kinds_of_path_are_alternatives() -> None:
    routes = router({"path": ["/a", "/b/"], "path_exact": "/c", "path_regex": "[.]png$"})
    assert [taken(routes, request(path)) for path in ("/a/1", "/b", "/c", "/z.png", "/c/d", "/d")] == ["r0"] * 4 + [
        None
    ] * 2


def test_path_of_the_configuration_is_decoded_as_requests_are() -> None:
    assert taken(router({"path": "/caf%C3%A9"}), request("/café/menu")) == "r0"
    assert taken(router({"path_exact": "/a%20b"}), request("/a b")) == "r0"


def test_explain_names_the_winner_first_and_a_reason_for_each() -> None:
    routes = router(
        {},
        {"host": "a.example"},
        {"path": "/x"},
        {"method": "POST"},
        {"header": {"x-beta": "1"}},
        {"path_exact": "/y"},
        {},
    )
    told = [(each.route.name, each.won, each.why) for each in routes.explain(request("/y"))]
    assert told == [
        ("r5", True, "most specific: any host, exact path"),
        ("r0", False, "matches too, but its path is less specific"),
        ("r1", False, "host: www.example.com is not a.example"),
        ("r2", False, "path: /y is not /x/"),
        ("r3", False, "method: GET is not POST"),
        ("r4", False, "header: x-beta is not 1"),
        ("r6", False, "matches too, but its path is less specific"),
    ]


def test_explain_without_a_winner() -> None:
    assert [each.won for each in router({"path": "/x"}).explain(request("/"))] == [False]


hosts = st.sampled_from(["a.example", "*.example", "*.b.example", "x.b.example", "b.example"])
paths = st.sampled_from(["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab"])
matches = st.fixed_dictionaries(
    {},
    optional={
        "host": st.lists(hosts, max_size=2),
        "path": st.lists(paths, max_size=2),
        "path_exact": st.lists(paths, max_size=1),
        "path_regex": st.lists(st.sampled_from(["^/a", "b$", "/[bc]"]), max_size=1),
        "method": st.lists(st.sampled_from(["GET", "POST"]), max_size=1),
        "header": st.dictionaries(st.sampled_from(["x-a", "x-b"]), st.sampled_from(["1", "*"]), max_size=2),
    },
)


def specificity(match: MatchConfig, asked: Request) -> tuple[Any, ...] | None:
    """The rules of routing as their documentation has them, told without any of the router's tables."""
    host, path = asked.host.decode(), asked.path.decode()
    hosts = [1000 for name in match.host if name == host]
    hosts += [len(name) for name in match.host if name[0] == "*" and re.fullmatch(".+" + re.escape(name[1:]), host)]
    kinds = [(3, 0) for exact in match.path_exact if exact == path]
    kinds += [
        (2, len(p)) if p else (0, 0)
        for p in (prefix.rstrip("/") for prefix in match.path)
        if path == p or path.startswith(p + "/")
    ]
    kinds += [(1, 0) for pattern in match.path_regex if re.search(pattern, path)]
    if not (match.path or match.path_exact or match.path_regex):
        kinds.append((0, 0))
    methods = {*match.method, *(["HEAD"] if "GET" in match.method else [])}
    fields = all(
        name.encode() in asked.headers and value in ("*", asked.headers[name.encode()].decode())
        for name, value in match.header.items()
    )
    if (match.host and not hosts) or not kinds or (methods and asked.method.decode() not in methods) or not fields:
        return None
    return max(hosts, default=0), max(kinds), bool(methods) + len(match.header)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(matches, max_size=8),
    st.sampled_from(["a.example", "b.example", "x.b.example", "y.x.b.example", "example", "other"]),
    st.sampled_from(["/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c/d", "/ab", "/c"]),
    st.sampled_from(["GET", "HEAD", "POST", "PUT"]),
    st.dictionaries(st.sampled_from([b"x-a", b"x-b"]), st.sampled_from([b"1", b"2"])),
)
def test_match_and_explain_agree_with_the_rules(
    given_matches: list[dict[str, Any]], host: str, path: str, method: str, headers: dict[bytes, bytes]
) -> None:
    configs = [MatchConfig(**match) for match in given_matches]
    asked = Request(method.encode(), path.encode(), headers, host=host.encode())
    ranked = [
        (rank, -i, f"r{i}") for i, config in enumerate(configs) if (rank := specificity(config, asked)) is not None
    ]
    expected = max(ranked)[2] if ranked else None
    routes = router(*given_matches)
    assert taken(routes, asked) == expected
    assert next((each.route.name for each in routes.explain(asked) if each.won), None) == expected


@pytest.mark.interpreted
def test_every_route_is_laid_out_once_per_host_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out: list[int] = []
    tier = match._tier
    monkeypatch.setattr(match, "_tier", lambda rules: laid_out.append(len(rules)) or tier(rules))
    router(*({"host": [f"h{number}.example", "*.example"]} for number in range(300)), *({"path": "/"},) * 200)
    assert sorted(laid_out) == [1] * 300 + [200, 300]


def test_look_ups_do_not_grow_with_the_number_of_routes() -> None:
    class Counted(dict[bytes, Any]):
        asked = 0

        def get(self, *args: Any) -> Any:
            Counted.asked += 1
            return super().get(*args)

    routes = router(*({"path": f"/p/{number}"} for number in range(5000)))
    tier = routes._any[0]
    routes._any = (tier._replace(prefixes=Counted(tier.prefixes)),)
    assert taken(routes, request("/p/4999/" + "x/" * 1000)) == "r4999"
    assert Counted.asked <= 2
