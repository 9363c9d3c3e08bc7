import pytest

from edgeproxy.observe.redact import redactor


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (b"/a", b"/a"),
        (b"/a?b=1&c=2", b"/a?b=1&c=2"),
        (b"/a?token=abc", b"/a?token=***"),
        (b"/a?x=1&PassWord=p&y=2", b"/a?x=1&PassWord=***&y=2"),
        (b"/a?%74oken=abc", b"/a?%74oken=***"),
        (b"/a?x=1;sig=abc", b"/a?x=1;sig=***"),
        (b"/a?token=a=b", b"/a?token=***"),
        (b"/a?tokens=3&monkey=1", b"/a?tokens=3&monkey=1"),
        (b"/a?token", b"/a?token"),
        (b"/token=abc", b"/token=abc"),
        (b"https://h/p?key=k#frag", b"https://h/p?key=***#frag"),
        (b"/a?X-Amz-Signature=00ff", b"/a?X-Amz-Signature=***"),
    ],
)
def test_values_of_sensitive_parameters_are_masked(url, shown):
    assert redactor()(url) == shown


def test_the_names_are_the_operators_to_choose():
    redact = redactor(["PIN"])
    assert redact(b"/?pin=1&token=2") == b"/?pin=***&token=2"
