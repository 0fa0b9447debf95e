"""CloudEvents: what is taken out of an envelope, and which envelopes are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.cloudevents import (
    TYPE,
    in_data,
    is_binary,
    read_binary,
    read_structured,
)
from shared.errors import Finding, Invalid, Refused, UnsupportedType

EVENT = {
    "specversion": "1.0",
    "type": TYPE,
    "id": "evt-1",
    "source": "/crm",
    "time": "2026-03-02T09:30:00Z",
    "data": {"score": 3},
}
HEADERS = {f"ce-{name}": value for name, value in EVENT.items() if isinstance(value, str)}
RESPONSE = {"score": 3, "external_id": "evt-1", "answered_at": "2026-03-02T09:30:00Z"}


def test_the_envelope_fills_in_what_the_response_does_not_say() -> None:
    assert read_structured(EVENT) == RESPONSE
    assert read_binary(HEADERS, {"score": 3}) == RESPONSE
    without_time = {name: value for name, value in EVENT.items() if name != "time"}
    assert read_structured(without_time) == {"score": 3, "external_id": "evt-1"}


def test_what_the_response_says_itself_counts() -> None:
    data = {"external_id": "A-1", "answered_at": "2026-01-01T00:00:00Z", "score": 9}

    assert read_structured({**EVENT, "data": data, "subject": "x", "myext": 5}) == data
    assert read_binary(HEADERS, data) == data


def test_headers_are_percent_encoded_and_may_be_quoted() -> None:
    headers = {**HEADERS, "ce-id": '"r%C3%A9ponse%20%22un%22"', "ce-source": "/caf%c3%a9"}

    assert read_binary(headers, {})["external_id"] == 'réponse "un"'


def test_binary_mode_is_told_by_its_headers() -> None:
    assert is_binary(HEADERS)
    assert is_binary({"ce-type": TYPE})
    assert not is_binary({"content-type": "application/json", "ce-other": "x"})


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"type": "closed-loop.other"}, "/type", "unknown_value"),
        ({"type": None}, "/type", "missing"),
        ({"specversion": "0.3"}, "/specversion", "unknown_value"),
        ({"specversion": 1.0}, "/specversion", "wrong_type"),
        ({"id": ""}, "/id", "missing"),
        ({"id": 5}, "/id", "wrong_type"),
        ({"id": "x" * 1_001}, "/id", "wrong_type"),
        ({"source": None}, "/source", "missing"),
        ({"data_base64": "e30="}, "/data_base64", "unsupported"),
    ],
)
def test_an_envelope_that_breaks_a_rule_is_refused_by_name(
    change: dict[str, Any], pointer: str, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        read_structured({**EVENT, **change})
    assert (pointer, code) in [(one.pointer, one.code) for one in refused.value.findings]


def test_every_missing_attribute_is_named_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        read_structured({})
    assert {one.pointer for one in refused.value.findings} == {
        "/specversion",
        "/type",
        "/id",
        "/source",
        "/data",
    }
    with pytest.raises(Invalid):
        read_structured([EVENT])
    with pytest.raises(Invalid) as refused:
        read_binary({"ce-specversion": "1.0"}, {})
    assert len(refused.value.findings) == 3


def test_data_of_another_type_is_unsupported() -> None:
    with pytest.raises(UnsupportedType):
        read_structured({**EVENT, "datacontenttype": "text/xml"})
    for kind in ("application/json", "application/vnd.x+json; charset=utf-8", None):
        assert read_structured({**EVENT, "datacontenttype": kind}) == RESPONSE


@pytest.mark.parametrize("value", ["%FF", "%00", "a%0Ab"])
def test_a_header_that_cannot_be_decoded_is_named(value: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_binary({**HEADERS, "ce-id": value}, {})
    assert refused.value.findings[0].pointer == "/id"


def test_findings_of_the_response_point_into_the_event() -> None:
    error = Invalid("x", [Finding(pointer="/score", code="missing", detail="d")])

    assert [one.pointer for one in in_data(error).findings] == ["/data/score"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(derandomize=True, max_examples=200)
@given(JSON | st.fixed_dictionaries({}, optional=dict.fromkeys([*EVENT, "data_base64"], JSON)))
def test_no_event_raises_anything_but_a_refusal(event: Any) -> None:
    try:
        read_structured(event)
    except Refused as error:
        assert error.detail  # noqa: PT017 - either way is fine, another error is not
