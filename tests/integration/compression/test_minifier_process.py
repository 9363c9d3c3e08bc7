"""What the minifying library takes out, what it leaves, and what it makes of hostile texts."""

from __future__ import annotations

import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgeproxy.compression.minifier import Minifier, MinifyError
from edgeproxy.compression.minifier_process import MEMORY

PAGE = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title> A   page </title>
    <script type="module">
      const number = 1;  // one
    </script>
    <script type="application/ld+json">{ "a" : 1.0 }</script>
    <script type="text/template"> <p>  {{ a }}  </p> </script>
    <style> a { color : red } </style>
  </head>
  <body>
    <p>  One,   <b> two </b> <i>three</i> !
    <!--$--><a href="/?a=1&amp;b=2" class="x"   >four</a><!--/$-->
    <pre>  as
  it  is</pre>
    <textarea>
 as  it is </textarea>
    <input type="text" name="a">
  </body>
</html>
"""

DEEP = 200_000
HOSTILE = {
    "js parentheses": ("js", "(" * DEEP),
    "js brackets": ("js", "[" * DEEP + "]" * DEEP),
    "js arrows": ("js", "a=>" * DEEP + "1"),
    "js ambiguous arrows": ("js", "(a=" * 2000 + "1" + ")=>1" * 2000),
    "js functions": ("js", "function a(){" * DEEP + "}" * DEEP),
    "js templates": ("js", "`${" * DEEP + "1" + "}`" * DEEP),
    "js conditions": ("js", "a?b:" * DEEP + "c"),
    "js regular expressions": ("js", "/[" * DEEP),
    "html elements": ("html", "<div>" * DEEP),
    "html comments": ("html", "<!--" * DEEP),
    "html styles": ("html", "<style>" + "a{" * DEEP),
    "html handlers": ("html", '<a onclick="' + "(" * DEEP + '">'),
    "html frames": ("html", '<iframe srcdoc="' * 5000),
    "css blocks": ("css", "a{" * DEEP),
    "css functions": ("css", "a{b:" + "calc(" * DEEP),
    "css selectors": ("css", ":not(" * DEEP + "a"),
    "css numbers": ("css", "a{b:1e" + "9" * DEEP + "}"),
    "svg groups": ("svg", "<svg>" + "<g>" * DEEP),
    "svg paths": ("svg", '<svg><path d="M0 0' + "l1 1" * DEEP + '"/></svg>'),
    "svg entities": ("svg", "<!DOCTYPE svg [" + '<!ENTITY a "&b;&b;">' * 10_000 + "]><svg>&a;</svg>"),
    "json arrays": ("json", "[" * DEEP),
}


@pytest.fixture
async def minifier() -> AsyncIterator[Minifier]:
    minifier = Minifier(8.0, 4)
    yield minifier
    await minifier.stop()


async def small(minifier: Minifier, kind: str, text: str) -> str:
    return (await minifier.minify(kind, text.encode())).decode()


async def test_of_a_page_its_elements_attributes_comments_and_words_stay(minifier: Minifier) -> None:
    page = await small(minifier, "html", PAGE)
    for kept in (
        '<!doctype html><html lang="en">',
        "<title>",
        '<script type="module">const number=1</script>',
        '{"a":1.0}',
        " <p>  {{ a }}  </p> ",
        "<style>a{color:red}</style>",
        '<!--$--><a href="/?a=1&amp;b=2" class="x">four</a><!--/$-->',
        "<b> two </b> <i>three</i> !",
        "<pre>  as\n  it  is</pre>",
        "<textarea>\n as  it is </textarea>",
        '<input type="text" name="a">',
        "</body>\n</html>",
    ):
        assert kept in page
    assert len(page) < 0.85 * len(PAGE)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (
            "js",
            "var one = 1 ; // one\nfunction f (long) { return long + one }",
            "var one=1;function f(long){return long+one}",
        ),
        ("js", "/*! (c) somebody */ a ( )", "/*! (c) somebody */a()"),
        ("js", "a = b == null ? c : b", "a=b==null?c:b"),
        ("js", 'import a from "b" ; export default a', 'import a from"b";export default a'),
        ("js", "const f = async () => { await g?.() }", "const f=async()=>{await g?.()}"),
        ("css", "a { width : calc( 1px + 2px ) ; --x:  y }", "a{width:calc( 1px + 2px );--x:y}"),
        ("css", "/*! (c) somebody */ a { b : c } /* no */", "/*!(c) somebody*/a{b:c}"),
        ("svg", "<svg><!-- a --><g>  <path d='M 0 0 L 9 9'/> </g></svg>", '<svg><g><path d="M0 0 9 9"/></g></svg>'),
        ("json", '{ "a" : 1.0e10, "b": 12345678901234567890 }', '{"a":1.0e10,"b":12345678901234567890}'),
    ],
)
async def test_what_stays_of_a_text(minifier: Minifier, kind: str, text: str, expected: str) -> None:
    assert await small(minifier, kind, text) == expected


async def outcome(minifier: Minifier, kind: str, text: str) -> str:
    try:
        await minifier.minify(kind, text.encode())
    except MinifyError as error:
        return error.reason
    return "done"


def told_of(minifier: Minifier, name: str) -> str:
    """What the kernel says of the process."""
    assert minifier._starting is not None
    return Path(f"/proc/{minifier._starting.result()._process.pid}/{name}").read_text()


async def test_hostile_texts_leave_it_running_within_its_memory(minifier: Minifier) -> None:
    await minifier.minify("css", b"a { b : c }")
    running = minifier._starting
    for name, (kind, text) in HOSTILE.items():
        assert await outcome(minifier, kind, text) in {"done", "syntax"}, name
    assert minifier._starting is running
    (most,) = (line.split()[1] for line in told_of(minifier, "status").splitlines() if line.startswith("VmHWM"))
    assert int(most) < 600_000  # kB


async def test_it_may_do_little_and_knows_nothing_of_ours(minifier: Minifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "secret")
    await minifier.minify("css", b"a { b : c }")
    assert minifier._starting is not None
    pid = minifier._starting.result()._process.pid
    assert resource.prlimit(pid, resource.RLIMIT_AS) == (MEMORY, MEMORY)
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
    assert resource.prlimit(pid, resource.RLIMIT_FSIZE) == (0, 0)
    assert os.getpgid(pid) == pid
    assert "NoNewPrivs:\t1" in told_of(minifier, "status")
    assert "secret" not in told_of(minifier, "environ")
