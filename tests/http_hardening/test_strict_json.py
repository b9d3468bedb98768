from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_hardening import errors
from http_hardening.strict_json import LARGEST_INTEGER, read_object

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=10,
)


def read(body, deepest_nesting=20):
    return read_object(
        body if isinstance(body, bytes) else body.encode(), deepest_nesting=deepest_nesting
    )


def read_or_refuse(body):
    try:
        return read(body)
    except errors.InvalidJSON as refusal:
        return refusal


@given(st.dictionaries(st.text("xyz"), VALUES), st.booleans())
def test_what_is_good_json_is_read_as_it_is(value, ascii_only):
    assert read(json.dumps(value, ensure_ascii=ascii_only)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_refusal_with_a_code(body):
    assert isinstance(read_or_refuse(body), dict | errors.InvalidJSON)


@given(st.text(alphabet='{}[]",:0129.eE+-\\u aNInfty', max_size=60))
def test_any_text_of_json_s_own_letters_is_an_object_or_a_refusal(text):
    assert isinstance(read_or_refuse(text), dict | errors.InvalidJSON)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"   ", "invalid_json"),
        (b"{", "invalid_json"),
        (b"{'a': 1}", "invalid_json"),
        (b'{"a": 1,}', "invalid_json"),
        (b'{"a": 01}', "invalid_json"),
        (b'{"a": 1} {"b": 2}', "invalid_json"),
        (b'{"a": "\n"}', "invalid_json"),
        (b'{"a": "\x00"}', "invalid_json"),
        (b'\x00{"a": 1}', "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b'{"a": Infinity}', "invalid_json"),
        (b'{"a": -Infinity}', "invalid_json"),
        (b'{"a": "\xff"}', "invalid_encoding"),
        (b'{"a": "\xed\xa0\x80"}', "invalid_encoding"),
        (b'\xef\xbb\xbf{"a": 1}', "invalid_encoding"),
        ('{"a": 1}'.encode("utf-16"), "invalid_encoding"),
        (b'{"a": "\\u0000"}', "invalid_encoding"),
        (b'{"a\\u0000": 1}', "invalid_encoding"),
        (b'{"a": ["\\ud800"]}', "invalid_encoding"),
        (b'{"a": {"\\udfff": 1}}', "invalid_encoding"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'{"a": {"b": 1, "b": 1}}', "duplicate_key"),
        (b'{"a": 1, "\\u0061": 2}', "duplicate_key"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b"1", "not_an_object"),
        (b"true", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b'{"a": 9223372036854775808}', "number_out_of_range"),
        (b'{"a": -9223372036854775808}', "number_out_of_range"),
        (b'{"a": ' + b"9" * 100_000 + b"}", "number_out_of_range"),
        (b'{"a": 1e999}', "number_out_of_range"),
        (b'{"a": -1e999}', "number_out_of_range"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nesting_too_deep"),
        (b'{"a": ' + b"[" * 100_000, "nesting_too_deep"),
        (b'{"a":' * 21 + b"1" + b"}" * 21, "nesting_too_deep"),
    ],
    ids=lambda value: value[:30] if isinstance(value, bytes) else value,
)
def test_what_readers_could_disagree_on_is_refused(body, code):
    with pytest.raises(errors.InvalidJSON) as refusal:
        read(body)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 9223372036854775807, "b": -9223372036854775807, "c": 1.5e300}',
        b'{"a": "\\ud83d\\ude00 \\u00e9 \\\\u0000"}',
        b'{"": "an empty name"}',
        b' \t\r\n{"a": []} \n',
        b'{"a":' * 20 + b"1" + b"}" * 20,
        json.dumps({"wide": [[n] for n in range(5000)]}).encode(),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_merely_unusual_is_read(body):
    assert read(body) == json.loads(body)


def test_a_refusal_repeats_nothing_of_the_body():
    for body in (b'{"password": "hunter2"', b'{"password": "hunter2", "password": "hunter2"}'):
        with pytest.raises(errors.InvalidJSON) as refusal:
            read(body)
        assert "hunter2" not in refusal.value.detail
