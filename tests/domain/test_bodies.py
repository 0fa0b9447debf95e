"""Strict JSON: what is refused, and that everything else reads as it always did."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid, Unreadable
from shared.web.bodies import MAX_DEPTH, MAX_MEMBERS, flaw, parse_json, parse_leniently


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", None),
        (b" \n", None),
        (b"{", None),
        (b"{'a': 1}", None),
        (b'{"a": 1,}', None),
        (b'{"a": 01}', None),
        (b'{"a": 1} x', None),
        (b'{"a": "\x01"}', None),
        (b'{"a": "\x00"}', None),
        (b"\xef\xbb\xbf{}", None),
        ('{"a": 1}'.encode("utf-16"), None),
        (b'{"a": "\xff"}', None),
        (b'{"a": "\xed\xa0\x80"}', None),  # half a pair, written out in bytes
        (b'{"a": 1, "a": 1}', "duplicate_member"),
        (b'{"b": [{"a": 1, "\\u0061": 2}]}', "duplicate_member"),
        (b'{"a": NaN}', "not_finite"),
        (b'{"a": [Infinity]}', "not_finite"),
        (b"-Infinity", "not_finite"),
        (b'{"a": 1e400}', "not_finite"),
        (b'{"a": -1e400}', "not_finite"),
        (b'{"a": 1234567890123456789}', "number_too_long"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "number_too_long"),
        (b'{"a": 0.' + b"9" * 5_000 + b"}", "number_too_long"),
        (b"[" * 33 + b"]" * 33, "too_deep"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "too_deep"),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
        (
            json.dumps({str(n): n for n in range(MAX_MEMBERS + 1)}).encode(),
            "too_many_members",
        ),
    ],
)
def test_what_is_not_quite_json_is_refused(body: bytes, code: str | None) -> None:
    with pytest.raises(Unreadable) as refused:
        parse_json(body)
    assert refused.value.extra.get("code") == code


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (b'{"a": "\\u0000"}', "nul", "/a"),
        (b'{"b": "\\u0000"}', "nul", ""),
        (b'{"b": 1, "a": {"c": ["\\u0000"]}}', "nul", "/a"),
        (b'{"\\u0000": 1}', "nul", ""),
        (b'["\\ud800"]', "lone_surrogate", ""),
        (b'{"\\uDFFF": 1}', "lone_surrogate", ""),
        (b'["\\udc00\\ud800"]', "lone_surrogate", ""),
    ],
)
def test_text_that_nobody_should_store_is_content(body: bytes, code: str, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_json(body, members={"a"})
    assert refused.value.extra.get("code") == code
    assert [finding.pointer for finding in refused.value.findings] == [pointer]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"9", 9),
        (b'"\\ud83d\\ude00 \\u00e9"', "😀 é"),
        (b'{"a": 123456789012345678, "b": -123456789012345678}',
         {"a": 123456789012345678, "b": -123456789012345678}),
        (b'{"a": "\\\\u0000"}', {"a": "\\u0000"}),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, json.loads("[" * 32 + "]" * 32)),
        (b'{"a": 1.5e3, "b": true, "c": null}', {"a": 1500.0, "b": True, "c": None}),
    ],
)  # fmt: skip
def test_json_is_read(body: bytes, value: object) -> None:
    assert parse_json(body) == value


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\x00")), inner
    ),
    max_leaves=20,
)  # fmt: skip


@given(JSON_VALUES, st.booleans())
def test_every_sound_value_comes_through_unchanged(value: object, ascii_only: bool) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        parse_json(body)
    except (Unreadable, Invalid) as error:
        assert len(body) < 8 or body.decode("utf-8", "replace") not in error.detail  # noqa: PT017 - either outcome is right


def test_one_bad_item_of_a_list_can_be_told_from_the_others() -> None:
    values, suspect = parse_leniently(
        b'[{"a": 1}, {"a": 1, "a": 2}, {"a": NaN}, {"a": "\\u0000"}, {"a": [1]}]'
    )
    assert [flaw(value, suspect=suspect) for value in values] == [
        None,
        "duplicate_member",
        "not_finite",
        "nul",
        None,
    ]
