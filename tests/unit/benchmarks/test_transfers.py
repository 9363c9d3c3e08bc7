"""The page of bytes transferred: which kind a file is, sums, tables."""

import pytest

from tests.benchmarks.transfers import COMPRESSIBLE, KINDS, ORDER, kind_of, sums, table

KINDS_SEEN = {"/": "HTML", "/a.css": "CSS", "/a.jpg": "pictures"}
PLAIN = {"/": 1000, "/a.css": 3000, "/a.jpg": 6000}
SMALL = {"/": 400, "/a.css": 600, "/cdn-cgi/image/width=9/a.jpg": 6500}


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [("text/html; charset=utf-8", "HTML"), ("TEXT/CSS", "CSS"), ("font/woff2", "other"), ("", "other")],
)
def test_kinds(content_type, kind):
    assert kind_of(content_type) == kind


def test_every_kind_has_its_place():
    assert set(KINDS.values()) | {"other"} == set(ORDER)
    assert set(COMPRESSIBLE) < set(ORDER)


def test_a_variant_of_a_picture_is_a_picture():
    assert sums(SMALL, KINDS_SEEN) == {"HTML": 400, "CSS": 600, "pictures": 6500}


def test_a_table_has_a_line_a_kind_and_says_what_changed():
    lines = table(KINDS_SEEN, PLAIN, {"first copy": SMALL}).splitlines()
    assert lines == [
        "| | files | as it is | first copy |",
        "|---|--:|--:|--:|",
        "| HTML | 1 | 1,000 | 400 (-60.0%) |",
        "| CSS | 1 | 3,000 | 600 (-80.0%) |",
        "| pictures | 1 | 6,000 | 6,500 (+8.3%) |",
        "| **all that compresses** | 2 | 4,000 | 1,000 (-75.0%) |",
        "| **all** | 3 | 10,000 | 7,500 (-25.0%) |",
    ]
