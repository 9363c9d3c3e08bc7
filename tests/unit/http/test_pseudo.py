"""Field sections of HTTP/2 and HTTP/3: what is a request, what is refused, and that HTTP/1.1 would say the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http import framing, pseudo
from edgeproxy.http.headers import Headers, from_pairs, lower_name
from edgeproxy.http.message import UNKNOWN_LENGTH, FieldBlock, Request, Response
from edgeproxy.http.pseudo import Malformed, Pair

METHOD, SCHEME, PATH = (b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/a?b=c")
AUTHORITY = (b":authority", b"a.example")
GET = [METHOD, SCHEME, PATH, AUTHORITY]
POST = [(b":method", b"POST"), SCHEME, PATH, AUTHORITY]
SOCKET = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), SCHEME, PATH, AUTHORITY]


def request(*fields: Pair, scheme: bytes = b"https", ended: bool = True, websocket: bool = False) -> Request:
    return pseudo.request(list(fields), b"2", scheme, ended=ended, websocket=websocket)


def refusal(*fields: Pair, websocket: bool = False) -> Kind:
    with pytest.raises(EdgeError) as caught:
        request(*fields, websocket=websocket)
    return caught.value.kind


def test_a_request_is_what_http_1_makes_of_it() -> None:
    for path in (b"/", b"/a?b=c", b"/x/../a", b"/%61dmin", b"//a", b"/a%2Fb?%zz"):
        for authority in (b"a.example", b"A.Example:443", b"a.example:8443", b"[::1]"):
            came = request(METHOD, SCHEME, (b":path", path), (b":authority", authority), (b"accept", b"*/*"))
            asked: Headers = {b"host": authority, b"accept": b"*/*"}
            expected = framing.frame(b"GET", path, "1.1", asked, b"https")
            for name in (
                "method",
                "target",
                "path",
                "query",
                "scheme",
                "authority",
                "host",
                "headers",
                "length",
                "body",
            ):
                assert getattr(came, name) == getattr(expected, name), name
    assert came.version == b"2"
    assert came.plain


def test_host_is_first_and_the_rest_stays_in_order() -> None:
    assert list(request(*GET, (b"x-b", b"1"), (b"accept", b"*/*"), (b"x-a", b"2")).headers) == [
        b"host",
        b"x-b",
        b"accept",
        b"x-a",
    ]


def test_names_are_the_objects_fields_are_looked_up_with() -> None:
    fresh = bytes(bytearray(b"x-a-name"))
    for _ in range(2):
        assert next(reversed(request(*GET, (fresh, b"v")).headers)) is lower_name(b"x-a-name")


def test_the_scheme_is_the_listeners() -> None:
    assert request(METHOD, (b":scheme", b"https"), PATH, AUTHORITY, scheme=b"http").scheme == b"http"


@pytest.mark.parametrize(
    "fields",
    [
        [SCHEME, PATH, AUTHORITY],
        [METHOD, PATH, AUTHORITY],
        [METHOD, SCHEME, AUTHORITY],
        [],
        [*GET, METHOD],
        [*GET, SCHEME],
        [*GET, PATH],
        [*GET, AUTHORITY],
        [*GET, (b"accept", b"*/*"), METHOD],
        [*GET, (b":status", b"200")],
        [*GET, (b":unknown", b"a")],
        [*GET, (b":protocol", b"websocket")],
        [*SOCKET],
        [(b":method", b"CONNECT"), SCHEME, PATH, AUTHORITY],
        [(b":method", b"CONNECT")],
        [(b":method", b"G T"), SCHEME, PATH, AUTHORITY],
        [(b":method", b""), SCHEME, PATH, AUTHORITY],
    ],
    ids=str,
)
def test_pseudo_fields_come_first_once_known_and_complete(fields: list[Pair]) -> None:
    with pytest.raises(Malformed):
        request(*fields)


@pytest.mark.parametrize(
    "path", [b"", b"a", b"*", b"http://a.example/", b"/a b", b"/a\r\nb", b"/\x80", b"/\x00", b"?a"]
)
def test_a_path_has_origin_form(path: bytes) -> None:
    with pytest.raises(Malformed):
        request(METHOD, SCHEME, (b":path", path), AUTHORITY)


def test_a_star_is_for_options() -> None:
    assert request((b":method", b"OPTIONS"), SCHEME, (b":path", b"*"), AUTHORITY).target == b"*"


@pytest.mark.parametrize("name", [b"X-A", b"", b"a b", b"a:", b"a\x00", b"a\n", b"\xe9", b"a\x7f", b"accepT"])
def test_a_name_is_a_token_in_lower_case(name: bytes) -> None:
    for fields in ([*GET, (name, b"v")], [*GET, (b"accept", b"*/*"), (name, b"v")]):
        with pytest.raises(Malformed):
            request(*fields)
    with pytest.raises(Malformed):
        pseudo.trailers([(name, b"v")])


@pytest.mark.parametrize(
    "value", [b"a\x00", b"a\rb", b"a\nb", b"\r\nx: y", b" a", b"a ", b"\ta", b"a\t", b"a\x7f", b" "]
)
def test_a_value_has_nothing_that_ends_lines_and_no_blanks_around_it(value: bytes) -> None:
    for name in (b"x-a", b"cookie", b"host"):
        with pytest.raises(Malformed):
            request(*GET, (name, value))
    with pytest.raises(Malformed):
        pseudo.trailers([(b"x-a", value)])


@pytest.mark.parametrize("value", [b"", b"a b", b"a\tb", b"caf\xe9", b'"x"'])
def test_a_value_may_have_all_else(value: bytes) -> None:
    for _ in range(2):  # the second time remembered
        assert request(*GET, (b"x-a", value)).headers[b"x-a"] == value


@pytest.mark.parametrize(
    "field",
    [
        (b"connection", b"keep-alive"),
        (b"connection", b""),
        (b"proxy-connection", b"keep-alive"),
        (b"keep-alive", b"timeout=5"),
        (b"transfer-encoding", b"chunked"),
        (b"upgrade", b"websocket"),
        (b"te", b"gzip"),
        (b"te", b"trailers, deflate"),
    ],
    ids=str,
)
def test_fields_of_http_1s_connections_are_refused(field: Pair) -> None:
    with pytest.raises(Malformed):
        request(*GET, field)
    with pytest.raises(Malformed):
        pseudo.trailers([field])


def test_te_may_say_trailers() -> None:
    assert request(*GET, (b"te", b"trailers")).headers[b"te"] == b"trailers"


# Who is meant.


def test_host_speaks_where_there_is_no_authority() -> None:
    made = request(METHOD, SCHEME, PATH, (b"host", b"b.example"), (b"accept", b"*/*"))
    assert (made.host, made.headers[b"host"]) == (b"b.example", b"b.example")
    assert list(made.headers) == [b"host", b"accept"]


@pytest.mark.parametrize("host", [b"a.example", b"A.EXAMPLE", b"a.example:443"])
def test_host_may_say_the_same_as_authority(host: bytes) -> None:
    made = request(*GET, (b"accept", b"*/*"), (b"host", host))
    assert made.headers == {b"host": b"a.example", b"accept": b"*/*"}


@pytest.mark.parametrize("host", [b"b.example", b"a.example:80", b"a.example.b.example"])
def test_host_may_not_say_anything_else(host: bytes) -> None:
    with pytest.raises(Malformed):
        request(*GET, (b"host", host))


@pytest.mark.parametrize(
    "fields",
    [
        [METHOD, SCHEME, PATH],
        [METHOD, SCHEME, PATH, (b":authority", b"")],
        [METHOD, SCHEME, PATH, (b":authority", b"user@a.example")],
        [METHOD, SCHEME, PATH, (b":authority", b"a.example/b")],
        [METHOD, SCHEME, PATH, (b"host", b"a.example"), (b"host", b"a.example")],
        [*GET, (b"host", b"a.example"), (b"host", b"a.example")],
        [METHOD, SCHEME, (b":path", b"/../a"), AUTHORITY],
        [METHOD, SCHEME, (b":path", b"/a#b"), AUTHORITY],
        [METHOD, SCHEME, (b":path", b"/%zz"), AUTHORITY],
        [METHOD, (b":scheme", b"ftp"), PATH, AUTHORITY],
        [*GET, (b"authorization", b"a"), (b"authorization", b"b")],
    ],
    ids=str,
)
def test_what_http_1_answers_with_400_is_answered_with_400(fields: list[Pair]) -> None:
    assert refusal(*fields) is Kind.BAD_REQUEST


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ([(b":method", b"CONNECT"), AUTHORITY], Kind.METHOD_NOT_ALLOWED),
        ([(b":method", b"TRACE"), SCHEME, PATH, AUTHORITY], Kind.METHOD_NOT_ALLOWED),
        ([(b":method", b"MADE-UP"), SCHEME, PATH, AUTHORITY], Kind.NOT_IMPLEMENTED),
        ([(b":method", b"get"), SCHEME, PATH, AUTHORITY], Kind.NOT_IMPLEMENTED),
    ],
    ids=str,
)
def test_methods_that_are_not_for_us_are_refused(fields: list[Pair], kind: Kind) -> None:
    assert refusal(*fields) is kind


# Several lines.


def test_lines_of_one_name_are_joined() -> None:
    made = request(*GET, (b"accept", b"a"), (b"cookie", b"x=1"), (b"accept", b"b"), (b"cookie", b"y=2"), (b"x-a", b"1"))
    assert made.headers == {b"host": b"a.example", b"accept": b"a, b", b"cookie": b"x=1; y=2", b"x-a": b"1"}
    assert made.plain


def test_crumbs_of_cookies_are_joined() -> None:
    crumbs = [(b"cookie", b"%d=1" % number) for number in range(30)]
    made = request(*GET, (b"accept", b"a"), *crumbs, (b"x-a", b"1"))
    assert made.headers[b"cookie"] == b"; ".join(value for _, value in crumbs)
    assert list(made.headers) == [b"host", b"accept", b"cookie", b"x-a"]


@given(
    st.lists(st.tuples(st.sampled_from([b"accept", b"cookie", b"x-a", b"x-b", b"via"]), st.just(b"v") | st.just(b"")))
)
def test_any_repetition_gives_what_http_1_gives(fields: list[Pair]) -> None:
    assert request(*GET, *fields).headers == {b"host": b"a.example", **from_pairs(fields)}


# Content.


@pytest.mark.parametrize(
    ("fields", "ended", "length"),
    [
        (GET, True, 0),
        (POST, False, UNKNOWN_LENGTH),
        ([*POST, (b"content-length", b"5")], False, 5),
        ([*POST, (b"content-length", b"0")], True, 0),
        ([*GET, (b"content-length", b"0")], False, 0),
    ],
)
def test_the_length_is_what_is_announced(fields: list[Pair], ended: bool, length: int) -> None:
    made = request(*fields, ended=ended)
    assert made.length == length
    assert made.plain == (ended and len(fields) == len(GET))


@pytest.mark.parametrize("length", [b"", b"-1", b"+1", b"1.0", b"0x1", b"1, 1", b"9" * 19, b"\xb2"])
def test_a_content_length_is_a_number(length: bytes) -> None:
    with pytest.raises(Malformed):
        request(*POST, (b"content-length", length), ended=False)


def test_two_content_lengths_are_malformed_even_if_they_agree() -> None:
    with pytest.raises(Malformed):
        request(*POST, (b"content-length", b"1"), (b"content-length", b"1"), ended=False)


def test_content_that_is_announced_must_come() -> None:
    with pytest.raises(Malformed):
        request(*POST, (b"content-length", b"1"), ended=True)


@pytest.mark.parametrize(
    "field",
    [
        (b"x-forwarded-for", b"1.2.3.4"),
        (b"forwarded", b"for=1.2.3.4"),
        (b"expect", b"100-continue"),
        (b"content-length", b"0"),
        (b"te", b"trailers"),
        (b"proxy-authorization", b"Basic eA=="),
        (b"http2-settings", b"AAMAAABkAAQAAP__"),
    ],
    ids=str,
)
def test_what_frames_steers_or_claims_is_not_plain(field: Pair) -> None:
    for _ in range(2):
        made = request(*GET, field)
        assert not made.plain
        assert made.headers[field[0]] == field[1]


def test_expect_is_left_to_who_waits_for_the_content() -> None:
    made = request(*POST, (b"expect", b"100-continue"), ended=False)
    assert framing.expects_continue(made)


# WebSocket.


def test_the_names_of_fields_are_those_the_client_sent() -> None:
    made = request(*SOCKET, (b"user-agent", b"a"), (b"accept-encoding", b"gzip"), ended=False, websocket=True)
    assert list(pseudo.names(made)) == [b"host", b"user-agent", b"accept-encoding"]
    asked = Request(b"GET", b"/", dict.fromkeys((b"host", b"connection", b"upgrade"), b"x"))
    assert list(pseudo.names(asked)) == [b"host", b"connection", b"upgrade"]


def test_a_websocket_is_asked_for_as_in_http_1() -> None:
    fields = [*SOCKET, (b"sec-websocket-version", b"13"), (b"origin", b"https://a.example")]
    made = request(*fields, ended=False, websocket=True)
    assert made.method == b"GET"
    assert (made.length, made.plain) == (0, False)
    assert framing.wants_tunnel(made.headers)
    assert len(made.headers[b"sec-websocket-key"]) == 24
    assert made.headers[b"sec-websocket-version"] == b"13"
    assert request(*fields, websocket=True).headers[b"sec-websocket-key"] != made.headers[b"sec-websocket-key"]


def test_other_protocols_are_not_implemented() -> None:
    fields = [(b":method", b"CONNECT"), (b":protocol", b"connect-udp"), SCHEME, PATH, AUTHORITY]
    assert refusal(*fields, websocket=True) is Kind.NOT_IMPLEMENTED


def test_a_websocket_has_no_content() -> None:
    assert refusal(*SOCKET, (b"content-length", b"5"), websocket=True) is Kind.BAD_REQUEST


def test_a_protocol_is_for_connect() -> None:
    with pytest.raises(Malformed):
        request(*GET, (b":protocol", b"websocket"), websocket=True)


# Trailers and answers.


def test_trailers_that_frame_or_route_are_left_out() -> None:
    assert pseudo.trailers([(b"grpc-status", b"0"), (b"content-length", b"5"), (b"x-a", b"1"), (b"x-a", b"2")]) == {
        b"grpc-status": b"0",
        b"x-a": b"1, 2",
    }


def test_trailers_have_no_pseudo_fields() -> None:
    with pytest.raises(Malformed):
        pseudo.trailers([(b"x-a", b"1"), (b":path", b"/")])


def test_an_answer_says_its_status_first_and_nothing_of_one_connection() -> None:
    answer = Response(
        200,
        {b"x-own": b"3", b"connection": b"keep-alive, x-hop", b"keep-alive": b"timeout=5", b"x-hop": b"1"},
        shared=FieldBlock({b"content-type": b"text/html", b"transfer-encoding": b"chunked"}),
        stamp=FieldBlock({b"age": b"2"}),
    )
    assert pseudo.response(answer) == [
        (b":status", b"200"),
        (b"content-type", b"text/html"),
        (b"age", b"2"),
        (b"x-own", b"3"),
    ]


def test_cookies_are_set_one_by_one_and_blanks_go() -> None:
    assert pseudo.section({b"set-cookie": b"a=1\nb=2", b"x-a": b" v\t"}) == [
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"x-a", b"v"),
    ]


def test_a_switch_to_websocket_is_a_success() -> None:
    own = {b"upgrade": b"websocket", b"connection": b"Upgrade", b"sec-websocket-accept": b"x", b"x-a": b"1"}
    assert pseudo.response(Response(101, own)) == [(b":status", b"200"), (b"x-a", b"1")]


# What others may send, and what is remembered of it.

SOME_NAMES = st.sampled_from([b":method", b":path", b":scheme", b":authority", b":protocol", b"host", b"cookie", b"te"])
SOME_VALUES = st.sampled_from([b"GET", b"CONNECT", b"/", b"https", b"a.example", b"websocket", b"1"])
ANY = st.lists(st.tuples(SOME_NAMES | st.binary(max_size=8), SOME_VALUES | st.binary(max_size=8)), max_size=8)


@given(ANY, st.booleans(), st.booleans())
def test_any_fields_are_a_request_or_refused(fields: list[Pair], ended: bool, websocket: bool) -> None:
    for said in (fields, [*GET, *fields]):
        try:
            made = request(*said, ended=ended, websocket=websocket)
        except (Malformed, EdgeError):
            continue
        assert made.target.startswith(b"/") or made.target == b"*"
        assert made.host
        assert not any(b"\n" in value or b"\r" in value for value in made.headers.values())


@given(ANY)
def test_any_trailers_are_read_or_refused(fields: list[Pair]) -> None:
    try:
        read = pseudo.trailers(fields)
    except Malformed:
        return
    assert read.keys() <= {name for name, _ in fields}


def test_secrets_and_long_lines_are_not_remembered() -> None:
    secrets = [(b"cookie", b"secret"), (b"authorization", b"secret"), (b"proxy-authorization", b"secret")]
    long = (b"x-long", b"v" * pseudo.PAIR_LONGEST)
    request(*GET, *secrets, long, (b"x-short", b"v"))
    assert (b"x-short", b"v") in pseudo._plain
    assert not pseudo._plain.keys() & {*secrets, long}
