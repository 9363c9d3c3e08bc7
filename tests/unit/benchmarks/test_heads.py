"""The request heads: a browser's shape, diversity, and the law of the URLs."""

from collections import Counter

import httptools
import pytest

from tests.benchmarks import heads


@pytest.fixture(scope="module")
def made() -> list[bytes]:
    return heads.heads(heads.urls("/1k/", 1000), 4096)


class Fields:
    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_message_complete(self) -> None:
        self.complete += 1


def test_every_head_is_one_whole_valid_request_with_a_browsers_fields(made):
    for head in made:
        read = Fields()
        httptools.HttpRequestParser(read).feed_data(head)
        names = [name.lower() for name, _ in read.fields]
        assert read.complete == 1
        assert len(set(names)) == len(names)
        assert 13 <= len(names) <= 16
        assert {b"host", b"user-agent", b"accept", b"accept-language", b"cookie", b"referer"} <= set(names)


def test_no_two_heads_are_the_same_and_none_holds_the_separator(made):
    assert len(set(made)) == 4096
    assert not any(heads.SEPARATOR in head for head in made)


def test_heads_are_about_as_long_as_browsers_are(made):
    assert 600 <= sum(map(len, made)) / len(made) <= 720


def test_the_same_seed_makes_the_same_heads(made):
    assert heads.heads(heads.urls("/1k/", 1000), 100) == made[:100]


def test_urls_are_drawn_by_the_zipf_law(made):
    paths = heads.urls("/1k/", 1000)
    drawn = Counter(head.split(b" ", 2)[1].decode() for head in made)
    share = (1 / 1) / sum(1 / rank**heads.ZIPF_EXPONENT for rank in range(1, 1001))

    assert drawn.most_common(1)[0][0] == paths[0]
    assert drawn[paths[0]] / 4096 == pytest.approx(share, rel=0.2)
    assert len(drawn) > 600


def test_all_browsers_take_part(made):
    agents = b"\n".join(made)

    assert all(mark in agents for mark in (b"Edg/", b"Firefox/", b"iPhone", b"Android 10", b"Windows NT", b"Version/"))


def test_urls_differ_and_stay_under_their_prefix():
    paths = heads.urls("/16k/", 1000)

    assert len(set(paths)) == 1000
    assert all(path.startswith("/16k/") for path in paths)


def test_an_etag_makes_every_request_conditional():
    made = heads.heads(heads.urls("/1k/", 10), 50, etag='"abc"')

    assert all(b'\r\nIf-None-Match: "abc"\r\n\r\n' in head for head in made)


def test_zipf_weights_accumulate_the_ranks():
    assert heads.zipf_weights(3, 1.0) == pytest.approx([1, 1.5, 1.5 + 1 / 3])


def test_the_file_holds_the_heads_each_ended_by_a_nul(tmp_path):
    heads.write(tmp_path / "heads", [b"GET /a HTTP/1.1\r\n\r\n", b"GET /b HTTP/1.1\r\n\r\n"])

    assert (tmp_path / "heads").read_bytes() == b"GET /a HTTP/1.1\r\n\r\n\0GET /b HTTP/1.1\r\n\r\n\0"
