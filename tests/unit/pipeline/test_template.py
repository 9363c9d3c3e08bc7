"""Templates: literals, braces and placeholders."""

from __future__ import annotations

import pytest

from edgeproxy.pipeline.template import compile_template, parse_template

KNOWN = {"one": lambda _: b"1", "two": lambda subject: subject}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("", b""),
        ("caf\u00e9", "caf\u00e9".encode()),
        ("{one}", b"1"),
        ("a{one}b{two}c", b"a1bSc"),
        ("{{one}}", b"{one}"),
        ("{{{one}}}", b"{1}"),
    ],
)
def test_a_template_renders(text: str, rendered: bytes) -> None:
    assert compile_template(text, KNOWN)(b"S") == rendered


@pytest.mark.parametrize("text", ["{", "}", "a{b", "a}b", "{{}", "{one"])
def test_a_brace_alone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="brace"):
        parse_template(text)


@pytest.mark.parametrize(("text", "hint"), [("{oen}", "did you mean {one}"), ("{}", "known are {one}, {two}")])
def test_an_unknown_placeholder_is_refused_with_help(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        compile_template(text, KNOWN)
