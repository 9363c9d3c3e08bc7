import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http.message import Request
from edgeproxy.observe.access_log import LINE, formatter
from edgeproxy.pipeline.exchange import Exchange, Peer, Place
from tests.support.stages import route

OFFSET = 1_800_000_000.0 - 100.0
HOSTILE = bytes(range(256)) + b'"}\n{"forged":1}\r\n\\" - - ['


def test_json_says_everything_of_an_exchange(record):
    headers = {b"user-agent": b"curl/8", b"referer": b"https://r/", b"authorization": b"Basic x", b"cookie": b"s=1"}
    line = formatter("json")([record(b"/a?b=1", headers, endpoint="10.0.0.1:80", error="dns", tags=("a", "b"))], OFFSET)
    assert json.loads(line) == {
        "time": "2027-01-15T08:00:00.250Z",
        "client": "192.0.2.1",
        "method": "GET",
        "scheme": "http",
        "host": "example.com",
        "target": "/a?b=1",
        "version": "1.1",
        "status": 200,
        "route": "site",
        "cache": "hit",
        "endpoint": "10.0.0.1:80",
        "error": "dns",
        "tags": "a,b",
        "bytes": 3,
        "duration": 0.25,
        "id": "r1",
        "referer": "https://r/",
        "user_agent": "curl/8",
    }


def test_combined_is_as_apache_and_nginx_write_it(record):
    line = formatter("combined")([record(b"/a?b=1", {b"user-agent": b"curl/8", b"referer": b"https://r/"})], OFFSET)
    assert line == b'192.0.2.1 - - [15/Jan/2027:08:00:00 +0000] "GET /a?b=1 HTTP/1.1" 200 3 "https://r/" "curl/8"\n'


def test_combined_writes_a_dash_for_what_is_missing(record):
    assert formatter("combined")([record()], OFFSET).endswith(b'200 3 "-" "-"\n')


@pytest.mark.parametrize("shape", ["json", "combined"])
def test_the_target_is_the_one_that_was_asked_for(record, shape):
    line = formatter(shape)([record(b"/a.jpg", asked=b"/small/w=80/a.jpg")], OFFSET)
    assert b"/small/w=80/a.jpg" in line


def test_who_it_was_and_where_from_is_said_where_it_is_known(record):
    made = record(b"/", place=Place("DE"), agent="googlebot", identity='Ann "A" Ä', score=40)
    said = json.loads(formatter("json")([made], OFFSET))
    assert {name: said[name] for name in ("country", "agent", "identity", "score")} == {
        "country": "DE",
        "agent": "googlebot",
        "identity": 'Ann "A" Ä',
        "score": 40,
    }
    assert formatter("combined")([made], OFFSET).startswith(rb"192.0.2.1 - Ann\x20\x22A\x22\x20\xC3\x84 [15/Jan/2027")


def test_times_go_on_within_a_batch(record):
    lines = formatter("json")([record(ended=100.0), record(ended=100.999), record(ended=161.5)], OFFSET).splitlines()
    assert [json.loads(line)["time"][14:] for line in lines] == ["00:00.000Z", "00:00.999Z", "01:01.500Z"]


def test_records_that_share_their_beginning_keep_their_own_ends(record):
    lines = formatter("json")([record(), record(status=404), record(verdict=b"")], OFFSET).splitlines()
    assert [(json.loads(line)["status"], json.loads(line)["cache"]) for line in lines] == [
        (200, "hit"),
        (404, "hit"),
        (200, "none"),
    ]


@pytest.mark.parametrize("field", ["target", "method", "host", "id", "agent", "referer"])
@pytest.mark.parametrize("shape", ["json", "combined"])
def test_no_value_can_forge_a_line_or_a_field(record, field, shape):
    if field in {"agent", "referer"}:
        made = record(b"/", {b"user-agent" if field == "agent" else b"referer": HOSTILE})
    else:
        made = record(**{field: HOSTILE})
    line = formatter(shape)([made], OFFSET)
    assert line.count(b"\n") == 1
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    if shape == "json":
        assert "forged" not in json.loads(line)
    else:
        assert line.count(b'"') == 6


def test_a_backslash_cannot_hide_the_closing_quote(record):
    made = record(b"/", {b"user-agent": b"a\\"})
    assert json.loads(formatter("json")([made], OFFSET))["user_agent"] == "a\\"
    assert formatter("combined")([made], OFFSET).endswith(b'"a\\x5C"\n')


def test_text_beyond_ascii_is_readable_in_json_and_escaped_in_combined(record):
    made = record(b"/", {b"user-agent": "Bär".encode()})
    assert json.loads(formatter("json")([made], OFFSET))["user_agent"] == "Bär"
    assert b'"B\\xC3\\xA4r"' in formatter("combined")([made], OFFSET)


@pytest.mark.parametrize("shape", ["json", "combined"])
@pytest.mark.parametrize("byte", [b"a", b'"', b"\x01", b"\xff", b"\\"])
def test_every_line_fits_an_atomic_write(record, shape, byte):
    long = byte * 40_000
    made = record(
        b"/?" + long, {b"user-agent": long, b"referer": long}, method=long, host=long, id=long,
        client="2001:db8:1234:1234:1234:1234:1234:1234", name="r" * 64, endpoint="e" * 300, error="x" * 40,
        identity=long.decode("latin-1"), agent="a" * 300, score=100,
        tags=("t" * 300,), verdict=b"fwd=vary-miss", choice=(-1.2345e-100,) * 13,
    )  # fmt: skip
    line = formatter(shape)([made], OFFSET)
    assert len(line) <= LINE
    assert b"..." in line
    if shape == "json":
        assert json.loads(line)["user_agent"].endswith("...")


@pytest.mark.parametrize("shape", ["json", "combined"])
def test_secrets_are_masked_in_target_and_referer_also_when_repeated(record, shape):
    made = record(b"/a?token=s3cret", {b"referer": b"https://r/?password=s3cret"})
    line = formatter(shape)([made, made], OFFSET)
    assert b"s3cret" not in line
    assert line.count(b"token=***") == 2


@pytest.mark.parametrize("shape", ["json", "combined"])
def test_credentials_are_never_written(record, shape):
    headers = {b"authorization": b"s3cret", b"cookie": b"s3cret", b"proxy-authorization": b"s3cret"}
    assert b"s3cret" not in formatter(shape)([record(b"/", headers)], OFFSET)


@given(target=st.binary(max_size=300), agent=st.binary(max_size=300), host=st.binary(max_size=80))
def test_json_lines_are_json_whatever_is_sent(target, agent, host):
    x = Exchange(Request(b"GET", target, {b"user-agent": agent}, host=host), Peer("192.0.2.1", 1, "", "", None), 100.0)
    x.route = route()
    x.ended = 100.1
    line = formatter("json")([x], OFFSET)
    assert line.count(b"\n") == 1
    assert json.loads(line)["route"] == "site"


def test_what_is_remembered_of_values_is_bounded():
    from edgeproxy.observe.access_log import _MEMO, _Escaped, _json_text

    escaped = _Escaped(_json_text, 100)
    for number in range(_MEMO + 10):
        assert escaped.of(b"%d" % number) == b"%d" % number
    assert len(escaped) <= _MEMO
    size = len(escaped)
    assert escaped.of(b"x" * 5000).startswith(b"xxx")
    assert len(escaped) == size


def test_what_an_endpoint_was_chosen_by_is_said_where_a_model_is_asked(record):
    made = record(choice=(-4.60517, 0.0, 3.0, 60.0, 0.0123456))
    assert json.loads(formatter("json")([made], OFFSET))["choice"] == [-4.605, 0, 3, 60, 0.01235]
    assert b"choice" not in formatter("json")([record()], OFFSET)
    assert b"4.605" not in formatter("combined")([made], OFFSET)
