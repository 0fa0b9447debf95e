"""What stands in headers, queries and cursors, read as strictly as bodies: never a crash."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from services.ingest.domain.moments import AHEAD, read_moment
from shared.errors import Invalid, Refused, Unreadable
from shared.sealing import Keyring
from shared.web.idempotency import idempotency_key
from shared.web.paging import decode_cursor, encode_cursor, page_of
from shared.web.query import each_once
from shared.web.versions import etag, expected_version

NOW = datetime(2026, 7, 1, tzinfo=UTC)
KEYRING = Keyring("s" * 40)
ALWAYS_THE_SAME = settings(derandomize=True, database=None, max_examples=300)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=40)


def request(*headers: tuple[str, bytes], query: bytes = b"") -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": query,
            "headers": [(name.encode(), value) for name, value in headers],
        }
    )


@ALWAYS_THE_SAME
@given(st.lists(st.binary(max_size=300), max_size=2))
@example([b'"\\""'])
@example([b'"a\\b"'])
def test_an_idempotency_key_is_printable_or_refused(sent: list[bytes]) -> None:
    try:
        key = idempotency_key(request(*(("idempotency-key", value) for value in sent)))
    except Unreadable:
        return
    assert (key is None) is (sent == [])
    if key is not None:
        assert 1 <= len(key) <= 255
        assert key.isascii()
        assert key.isprintable()


@ALWAYS_THE_SAME
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255))
def test_a_quoted_key_is_the_one_that_was_quoted(key: str) -> None:
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'

    assert idempotency_key(request(("idempotency-key", quoted.encode()))) == key


@ALWAYS_THE_SAME
@given(st.lists(st.binary(max_size=40) | st.sampled_from([b'"3"', b'W/"3"', b"*"]), max_size=2))
def test_a_version_is_a_small_number_or_refused(sent: list[bytes]) -> None:
    try:
        version = expected_version(request(*(("if-match", value) for value in sent)))
    except Unreadable:
        return
    assert version is None or 0 <= version < 1_000_000_000


@given(st.integers(0, 999_999_999))
@ALWAYS_THE_SAME
def test_a_version_comes_back_as_it_went_out(version: int) -> None:
    assert expected_version(request(("if-match", etag(version).encode()))) == version


@ALWAYS_THE_SAME
@given(st.text(max_size=200))
def test_a_cursor_that_we_did_not_make_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid):
        decode_cursor(KEYRING, cursor, of="tasks")


@ALWAYS_THE_SAME
@given(st.lists(SCALARS, max_size=4), st.text(max_size=20))
def test_a_cursor_leads_back_to_its_place_and_to_no_other_list(
    values: list[object], of: str
) -> None:
    cursor = encode_cursor(KEYRING, values, of=of)

    assert decode_cursor(KEYRING, cursor, of=of) == values
    with pytest.raises(Invalid):
        decode_cursor(KEYRING, cursor, of=of + "x")
    with pytest.raises(Invalid):
        decode_cursor(Keyring("o" * 40), cursor, of=of)


@ALWAYS_THE_SAME
@given(st.binary(max_size=120))
@example(b"limit=1&limit=1")
@example("limit=٣".encode())
def test_a_query_is_read_or_refused(query: bytes) -> None:
    asked = request(query=query)
    try:
        each_once(asked)
        page = page_of(asked)
    except Refused:
        return
    assert 1 <= page.limit <= 200


@ALWAYS_THE_SAME
@given(
    st.text(max_size=40)
    | st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat())
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,12}(Z|[+-][0-9]{2}:[0-9]{2})?")
)
@example("0000-01-01T00:00:00Z")
@example("0001-01-01T00:00:00+14:00")
@example("9999-12-31T23:59:59-14:00")
@example("-001-01-01T00:00:00Z")
@example("2026-06-30T23:59:60Z")
@example("2026-06-30T23:59:59+24:00")
@example("2026-06-30T23:59:59-00:00")
@example("٢٠٢٦-06-30T23:59:59Z")
def test_a_moment_is_one_in_utc_or_none(text: str) -> None:
    moment = read_moment(text, now=NOW)

    if isinstance(moment, datetime):
        assert moment.tzinfo is UTC
        assert moment <= NOW + AHEAD
    else:
        assert moment in {"not_a_time", "out_of_range", "in_future"}
