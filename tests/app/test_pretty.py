"""A body is made readable, and nothing of it is lost or changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pretty import LONGEST, pretty

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_json_stays_what_it_is(value, ascii_only):
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    text, cut = pretty(body)
    assert not cut
    assert json.loads(text) == json.loads(body.decode("utf-8", "replace"))


def test_each_member_has_its_line():
    text, _ = pretty(b'{"id":1,"none":[],"tags":["a","b"],"deep":{"x":{}}}')
    assert text.split("\n") == [
        *("{", '  "id": 1,', '  "none": [],', '  "tags": [', '    "a",', '    "b"', "  ],"),
        *('  "deep": {', '    "x": {}', "  }", "}"),
    ]


@pytest.mark.parametrize("body", [b"not json at all", b"\xff\xfe", b'{"a": "b', b'"\\', b"}}}]]", b"[" * 500])
def test_what_is_no_json_stays_legible(body):
    text, _ = pretty(body)
    assert "".join(text.split()) == "".join(body.decode("utf-8", "replace").split())


@pytest.mark.timeout(10)
def test_a_string_that_is_cut_off_costs_no_more_than_its_length():
    text, cut = pretty(b'{"html":"' + b'\\"' * LONGEST)
    assert cut
    assert len(text) <= LONGEST + 10
