from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproxy.config.pools import PoolConfig
from edgeproxy.origin.listing import parse, read

POOL = PoolConfig.model_validate({"endpoints": [], "endpoints_file": "x.yaml", "regions": {"eu": {}}})


def urls(entries):
    return [entry.url for entry in entries]


def test_yaml_and_json_say_the_same():
    entries = [{"url": "http://a.example", "weight": 3, "region": "eu"}, "https://b.example"]
    yaml = "- {url: http://a.example, weight: 3, region: eu}\n- https://b.example\n"
    assert parse(yaml, "x.yaml", POOL) == parse(json.dumps(entries), "x.json", POOL)
    assert urls(parse(yaml, "x.yaml", POOL)) == ["http://a.example", "https://b.example"]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("x.json", "[", r"x\.json:1:2: not valid JSON: Expecting value"),
        ("x.json", "{}", r"x\.json holds no list of endpoints"),
        ("x.json", "[" * 100_000, r"x\.json: not JSON that is taken here"),
        ("x.json", "[" + "9" * 5000 + "]", r"x\.json: not JSON that is taken here"),
        ("x.yaml", "- [", r"x\.yaml:1:\d+: not valid YAML"),
        ("x.yaml", "", r"x\.yaml:1:1: the file is empty"),
        ("x.yaml", "- http://${HOME}", r"x\.yaml:1:3: \[0\]: the environment variable HOME is not set"),
        ("x.yaml", "- ftp://a.example", r"x\.yaml: \[0\]\.url: 'ftp://a\.example' is not an origin's address"),
        ("x.yaml", "- {url: http://a, wait: 1}", r"x\.yaml: \[0\]\.wait: unknown key"),
        ("x.yaml", "- http://a\n- {url: http://b, weight: 0}", r"x\.yaml: \[1\]\.weight: out of range"),
        ("x.yaml", "- {url: http://a, region: us}", r"x\.yaml: \[0\]\.region: there is no region 'us'"),
        ("x.yaml", "- 5", r"x\.yaml: \[0\]"),
        ("x.yaml", "[]", r"x\.yaml holds no endpoints, and the pool has no others"),
        ("x.json", json.dumps(["http://a"] * 1001), r"x\.json: .*at most 1000"),
    ],
)
def test_what_cannot_be_used_says_where_and_why(file, text, message):
    with pytest.raises(ValueError, match=message):
        parse(text, file, POOL)


def test_the_bound_counts_the_configurations_own():
    pool = PoolConfig.model_validate({"endpoints": ["http://own"], "endpoints_file": "x.json"})
    with pytest.raises(ValueError, match="a pool has at most 1000 endpoints"):
        parse(json.dumps(["http://a"] * 1000), "x.json", pool)
    assert parse("[]", "x.json", pool) == ()


@given(st.text(), st.sampled_from(["x.yaml", "x.json"]))
def test_no_text_raises_anything_else(text, file):
    try:
        parse(text, file, POOL)
    except ValueError:
        pass


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_value_raises_anything_else(value):
    try:
        parse(json.dumps(value), "x.json", POOL)
    except ValueError:
        pass


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match=r"none\.yaml cannot be read: No such file"):
        read(str(tmp_path / "none.yaml"), POOL)
    (tmp_path / "x.yaml").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="is not UTF-8"):
        read(str(tmp_path / "x.yaml"), POOL)
    (tmp_path / "x.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(ValueError, match="is larger than 1000 KB"):
        read(str(tmp_path / "x.yaml"), POOL)
