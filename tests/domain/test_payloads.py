"""Bodies of hooks: what each content type says, and that nothing else comes out of them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.payloads import FORM, LIMIT, read_payload
from shared.errors import Invalid, Refused, TooLarge, Unreadable, UnsupportedType

MULTIPART = "multipart/form-data; boundary=XX"


def part(name: str, value: bytes, more: str = "") -> bytes:
    head = f'--XX\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + value + b"\r\n"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "text/json",
        "application/vnd.api+json",
        'application/problem+json; charset="utf-8"',
    ],
)
def test_json_by_any_of_its_names(content_type: str) -> None:
    assert read_payload(b'{"a": [1, "x"]}', content_type) == {"a": [1, "x"]}


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b"", {}),
        (b"a=1&b=x+y%20z", {"a": "1", "b": "x y z"}),
        (b"a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        (b"a[]=1&a[]=2", {"a": ["1", "2"]}),
        (b"a[b][c]=1&a[b][d]=2&a[e]=3", {"a": {"b": {"c": "1", "d": "2"}, "e": "3"}}),
        (b"a[0]=x&a[1]=y", {"a": ["x", "y"]}),
        (b"a[1]=x&a[0]=y", {"a": {"1": "x", "0": "y"}}),
        (b"0=x&1=y", {"0": "x", "1": "y"}),
        (
            b"a[][id]=1&a[][n]=2&a[][id]=3",
            {"a": [{"id": "1", "n": "2"}, {"id": "3"}]},
        ),
        (b"a%5Bb%5D=%C3%A9", {"a": {"b": "é"}}),
        (b"a&b=&=c", {"a": "", "b": "", "": "c"}),
        (b"a[b=1&c]=2&[d]=3&a[x]y=4", {"a[b": "1", "c]": "2", "[d]": "3", "a[x]y": "4"}),
    ],
)
def test_forms_are_nested_as_php_and_rails_do(body: bytes, payload: dict[str, Any]) -> None:
    assert read_payload(body, FORM) == payload


def test_forms_in_parts_keep_texts_and_leave_files_out() -> None:
    body = (
        b"a preamble nobody reads\r\n"
        + part("result[score]", b"9")
        + part("upload", b"\xff\xd8 a picture", '; filename="face.jpg"')
        + part('a "quoted"; name'.replace('"', '\\"'), "Grüße\r\nzwei".encode())
        + part("list[]", b"1")
        + part("list[]", b"")
        + b"--XX--\r\nan epilogue"
    )

    assert read_payload(body, MULTIPART) == {
        "result": {"score": "9"},
        'a "quoted"; name': "Grüße\r\nzwei",
        "list": ["1", ""],
    }


def test_json_under_the_type_of_a_form_is_json() -> None:
    assert read_payload(b' {"a": "b=1&c=2"}', FORM) == {"a": "b=1&c=2"}
    assert read_payload(b'[{"a": 1}]', f"{FORM}; charset=utf-8") == [{"a": 1}]


@pytest.mark.parametrize("content_type", ["application/json", FORM])
def test_a_byte_order_mark_says_nothing(content_type: str) -> None:
    assert read_payload(b'\xef\xbb\xbf{"a": 1}', content_type) == {"a": 1}


@pytest.mark.parametrize(
    ("body", "content_type", "error"),
    [
        (b"{", "application/json", Unreadable),
        (b"{", FORM, Unreadable),
        (b'{"a": NaN}', "application/json", Unreadable),
        (b'{"a": "\\u0000"}', "application/json", Invalid),
        (b"a=%00", FORM, Invalid),
        (b"a=%FF", FORM, Unreadable),
        (b"\xff=1", FORM, Unreadable),
        (b"a=1&a[b]=2", FORM, Unreadable),
        (b"a[b]=2&a=1", FORM, Unreadable),
        (b"a[]=2&a[b]=1", FORM, Unreadable),
        (b"a" + b"[b]" * 40 + b"=1", FORM, Unreadable),
        (b"&".join(b"a%d=1" % n for n in range(1_001)), FORM, Unreadable),
        (b"--XX\r\n\r\nno headers\r\n--XX--", MULTIPART, Unreadable),
        (b"--XX\r\nContent-Type: text/plain\r\n\r\nx\r\n--XX--", MULTIPART, Unreadable),
        (part("a", b"1"), MULTIPART, Unreadable),
        (part("a", b"\xff") + b"--XX--", MULTIPART, Unreadable),
        (part("a", b"1") + b"--XX--", "multipart/form-data", Unreadable),
        (part("a", b"1") + b"--XX--", f"multipart/form-data; boundary={'x' * 71}", Unreadable),
        (b"{}", "", UnsupportedType),
        (b"{}", "text/plain", UnsupportedType),
        (b"{}", "application/xml", UnsupportedType),
        (b"{}", "application/json; charset=utf-16", UnsupportedType),
        (b" " * (LIMIT + 1), "application/json", TooLarge),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(
    body: bytes, content_type: str, error: type[Refused]
) -> None:
    with pytest.raises(error) as refused:
        read_payload(body, content_type)
    assert type(refused.value) is error


SCALARS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
NAMES = st.text("abcdefgh", min_size=1, max_size=4)


@settings(derandomize=True)
@given(st.dictionaries(NAMES, SCALARS | st.lists(SCALARS, min_size=2)))
def test_whatever_a_form_says_is_said_by_its_payload(fields: dict[str, Any]) -> None:
    body = urlencode(fields, doseq=True).encode()

    assert read_payload(body, FORM) == fields


@settings(derandomize=True)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**17), 10**17) | SCALARS,
        lambda inner: st.lists(inner) | st.dictionaries(SCALARS, inner),
        max_leaves=20,
    )
)
def test_whatever_json_says_is_said_by_its_payload(value: Any) -> None:
    assert read_payload(json.dumps(value).encode(), "application/json") == value


@settings(derandomize=True, max_examples=400)
@given(
    st.binary(max_size=300)
    | st.text("ab[]=&%0129-\r\nX;\"':{},ContentDisposition form-data name", max_size=200).map(
        str.encode
    ),
    st.sampled_from(["application/json", FORM, MULTIPART, 'multipart/form-data; boundary="X"'])
    | st.text(max_size=60),
)
def test_nothing_that_comes_in_raises_anything_but_a_refusal(
    body: bytes, content_type: str
) -> None:
    try:
        payload = read_payload(body, content_type)
    except Refused:
        return
    json.dumps(payload)
