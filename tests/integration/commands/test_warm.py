"""``edgeproxy warm`` against a running node."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgeproxy.cli import main
from tests.support.client import ask
from tests.support.origin import RecordedRequest, answer
from tests.support.ports import end_process, free_port, wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

KEPT = b"Cache-Control: max-age=600"
PAGES = [f"/page/{number}" for number in range(6)]


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        for page in PAGES:
            site.on(page.encode(), answer(200, page.encode(), KEPT))
        yield site


@pytest.fixture
def edge(site: Site) -> Iterator[EdgeProcess]:
    with EdgeProcess(config(site.url, log={"access": False})) as edge:
        yield edge


def warm(edge: EdgeProcess, *arguments: str | Path, stdin: bytes | None = None, rate: str = "1000") -> Result:
    command = ["warm", "--node", edge.url, "--rate", rate, *map(str, arguments)]
    return CliRunner().invoke(main, command, input=stdin)


def urls(*pages: str) -> bytes:
    return "".join(f"http://a.example{page}\n" for page in pages).encode()


def test_a_list_is_kept_before_anybody_asks(edge: EdgeProcess, site: Site) -> None:
    result = warm(edge, "-", stdin=urls(*PAGES, "/other"))
    assert result.exit_code == 0, result.output
    assert "7 URLs, 0.0 MB\nstatus      stored    passed\n200              6         1\n" in result.stdout
    site.clear()
    for page in PAGES:
        assert ask(edge.address, request(page.encode(), b"Connection: close")).final[0].body == page.encode()
    assert not site.requests
    assert "200              6         1\n" in warm(edge, "-", stdin=urls(*PAGES, "/other")).stdout


def test_an_index_of_sitemaps_is_followed_through_the_node(edge: EdgeProcess, site: Site) -> None:
    def listed(kind: str, entry: str, *targets: str) -> bytes:
        entries = "".join(f"<{entry}><loc>http://a.example{target}</loc></{entry}>" for target in targets)
        return f'<{kind} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</{kind}>'.encode()

    xml = b"Content-Type: application/xml"
    site.on(b"/index.xml", answer(200, listed("sitemapindex", "sitemap", "/1.xml", "/2.xml.gz", "/index.xml"), xml))
    site.on(b"/1.xml", answer(200, listed("urlset", "url", *PAGES[:2]), xml, KEPT))
    site.on(
        b"/2.xml.gz", answer(200, gzip.compress(listed("urlset", "url", *PAGES[2:])), b"Content-Type: application/gzip")
    )
    result = warm(edge, "http://a.example/index.xml", "--concurrency", "1")
    assert result.exit_code == 0, result.output
    assert "6 URLs" in result.stdout
    assert [seen.target.decode() for seen in site.requests if b"xml" not in seen.target] == PAGES


def test_a_log_goes_first_to_what_was_asked_for_most_and_no_further_than_told(
    edge: EdgeProcess, site: Site, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    fields = {"method": "GET", "scheme": "http", "host": "a.example", "status": 200}
    asked = [PAGES[0], *[PAGES[3]] * 3, *[PAGES[5]] * 2]
    log.write_text("".join(json.dumps({**fields, "target": page}) + "\n" for page in asked))
    assert warm(edge, log, "--limit", "2", "--concurrency", "1").exit_code == 0
    assert [seen.target.decode() for seen in site.requests] == [PAGES[3], PAGES[5]]


def test_it_asks_as_a_browser_does_or_as_it_is_told(edge: EdgeProcess, site: Site) -> None:
    warm(edge, "-", "-H", "Accept-Language: de", stdin=urls(PAGES[0]))
    seen = site.requests[0]
    assert seen.get(b"accept-encoding") == b"gzip, deflate, br, zstd"
    assert seen.get(b"accept-language") == b"de"
    assert (seen.get(b"user-agent") or b"").startswith(b"edgeproxy-warm/")


def test_a_node_that_has_had_enough_is_left_alone_and_asked_again(edge: EdgeProcess, site: Site) -> None:
    seen: list[bytes] = []

    def busy(request: RecordedRequest) -> bytes:
        seen.append(request.target)
        return answer(503, b"", b"Retry-After: 1", reason=b"Busy") if len(seen) == 1 else answer(200, b"ok", KEPT)

    site.on(PAGES[0].encode(), busy)
    result = warm(edge, "-", stdin=urls(PAGES[0]))
    assert result.exit_code == 0, result.output
    assert len(seen) == 2


def test_what_failed_is_told_and_is_the_exit_status(edge: EdgeProcess, site: Site) -> None:
    site.on(b"/broken", answer(500, b"", reason=b"Broken"))
    result = warm(edge, "-", stdin=urls("/broken", PAGES[0]))
    assert result.exit_code == 1
    assert "500" in result.stdout


def test_a_run_that_was_stopped_goes_on_where_it_was(edge: EdgeProcess, site: Site, tmp_path: Path) -> None:
    listed, state = tmp_path / "urls.txt", tmp_path / "state"
    listed.write_bytes(urls(*PAGES))
    command = [str(Path(sys.executable).with_name("edgeproxy")), "warm", str(listed), "--node", edge.url]
    slow = subprocess.Popen(
        [*command, "--rate", "2", "--concurrency", "1", "--state", str(state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        wait_until(lambda: len(site.requests) >= 2, "two are asked for")
        slow.send_signal(signal.SIGINT)
        _, said = slow.communicate(timeout=10)
    finally:
        end_process(slow)
    assert slow.returncode == 130
    assert b"goes on" in said
    assert b"Traceback" not in said
    before = len(site.requests)
    result = warm(edge, listed, "--state", state)
    assert result.exit_code == 0, result.output
    assert "of 6 URLs were done before" in result.stderr
    assert before < 6
    assert sorted({seen.target.decode() for seen in site.requests}) == PAGES
    assert len(site.requests) <= 7, "at most the one that was under way is asked for twice"
    assert not state.exists()


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["-"], b"nonsense\n", "standard input: line 1: 'nonsense' is no absolute http or https URL"),
        (["-"], b"https://a.example/\n", "no https address of the node is given"),
        (["-"], b"<html/>", "standard input: a sitemap begins with urlset"),
        (["/nowhere/urls.txt"], b"", "No such file"),
        (["http://a.example/missing.xml"], b"", "http://a.example/missing.xml: line 1: 'ok' is no"),
        (["-", "-H", "nonsense"], b"", "not a header field"),
        (["-", "--node", "ftp://a"], b"", "is no address like"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    edge: EdgeProcess, arguments: list[str], stdin: bytes, said: str
) -> None:
    result = warm(edge, *arguments, stdin=stdin)
    assert result.exit_code in {1, 2}
    assert said in result.stderr


def test_nobody_there_is_noticed_soon() -> None:
    node = f"http://127.0.0.1:{free_port()}"
    many = urls(*[f"/{number}" for number in range(500)])
    result = CliRunner().invoke(main, ["warm", "-", "--node", node, "--rate", "1000"], input=many)
    assert result.exit_code == 1
    assert "10 URLs in a row got no answer" in result.stderr
