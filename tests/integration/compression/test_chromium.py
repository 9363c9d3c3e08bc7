"""A real Chromium keeps our dictionaries, offers them, and reads what is made with them."""

from __future__ import annotations

import pytest

from tests.support.browser import browser_page
from tests.support.origin import answer
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config
from tests.support.versions import script

VERSIONS = range(1, 30)
SIZES = """(() => {
    const [one] = performance.getEntriesByType("resource").filter((entry) => entry.name.endsWith(".js"));
    return [one.encodedBodySize, one.decodedBodySize];
})()"""


def page(version: int) -> bytes:
    html = b"<!doctype html><link rel=icon href=data:,><script src=/assets/app.%d.js></script>" % version
    return answer(200, html, b"Content-Type: text/html", b"Cache-Control: no-store")


@pytest.mark.slow
async def test_the_next_version_of_a_script_comes_as_the_difference_and_runs() -> None:
    """It writes a dictionary to its disk when it likes, so the versions go on until it has one."""
    with Site() as site:
        for version in VERSIONS:
            fields = (b"Content-Type: text/javascript", b"Cache-Control: max-age=600")
            site.on(b"/assets/app.%d.js" % version, answer(200, script(version), *fields))
            site.on(b"/%d" % version, page(version))
        dictionaries = {"match": [{"path": "/assets/app.*.js", "destinations": ["script"]}]}
        settings = config(site.url, middleware={"compression": {"dictionaries": dictionaries}})
        with EdgeProcess(settings) as edge:
            async with browser_page() as browser:
                for version in VERSIONS:
                    await browser.open(f"http://localhost:{edge.port}/{version}")
                    assert await browser.run("window.version") == version
                    response = browser.responses[f"http://localhost:{edge.port}/assets/app.{version}.js"]
                    fields = {name.lower(): value for name, value in response["headers"].items()}
                    encoded, decoded = await browser.run(SIZES)
                    assert decoded == len(script(version))
                    if fields["content-encoding"] == "dcz":
                        break
                    assert fields["content-encoding"] == "zstd"
                    assert fields["use-as-dictionary"] == 'match="/assets/app.*.js", match-dest=("script")'
                else:
                    raise AssertionError("it never offered a dictionary")
                assert browser.complaints == []
            assert version > 1
            assert encoded < decoded / 50
            assert fields["vary"] == "accept-encoding, available-dictionary"
