"""What a posted document must be: tables of values, each with the finding that it gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.moments import read_moment
from services.ingest.domain.part import identifier_of, is_address, is_telephone_number
from services.ingest.domain.reading import KNOWN
from services.ingest.schemas import ResponseIn, understand
from shared.errors import Finding, Invalid

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LEAST = {"external_id": "A-1", "score": 9}


def findings_of(document: object) -> list[Finding]:
    with pytest.raises(Invalid) as refused:
        understand(document, now=NOW)
    return list(refused.value.findings)


def codes_of(document: object) -> set[tuple[str, str]]:
    return {(finding.pointer, finding.code) for finding in findings_of(document)}


@pytest.mark.parametrize(
    ("members", "pointer", "code"),
    [
        ({"external_id": None}, "/external_id", "missing"),
        ({"external_id": ""}, "/external_id", "blank"),
        ({"external_id": " \t\u2003"}, "/external_id", "blank"),
        ({"external_id": "x" * 201}, "/external_id", "too_long"),
        ({"external_id": "a\x07b"}, "/external_id", "control_character"),
        ({"external_id": 4711}, "/external_id", "wrong_type"),
        ({"external_id": ["A-1"]}, "/external_id", "wrong_type"),
        ({"score": "9"}, "/score", "wrong_type"),
        ({"score": " 9 "}, "/score", "wrong_type"),
        ({"score": "1_0"}, "/score", "wrong_type"),
        ({"score": True}, "/score", "wrong_type"),
        ({"score": 9.0}, "/score", "wrong_type"),
        ({"score": [9]}, "/score", "wrong_type"),
        ({"score": 11}, "/score", "out_of_range"),
        ({"score": -1}, "/score", "out_of_range"),
        ({"score": 0, "metric": "csat"}, "/score", "out_of_range"),
        ({"score": 6, "metric": "csat"}, "/score", "out_of_range"),
        ({"score": 0, "metric": "ces"}, "/score", "out_of_range"),
        ({"score": 8, "metric": "ces"}, "/score", "out_of_range"),
        ({"metric": "NPS"}, "/metric", "unknown_value"),
        ({"metric": 1}, "/metric", "unknown_value"),
        ({"measurement": "sometimes"}, "/measurement", "unknown_value"),
        ({"sentiment": "angry"}, "/sentiment", "unknown_value"),
        ({"comment": 1}, "/comment", "wrong_type"),
        ({"comment": {"de": "x"}}, "/comment", "wrong_type"),
        ({"comment": "x" * 10_001}, "/comment", "too_long"),
        ({"comment": "a\x00b"}, "/comment", "control_character"),
        ({"touchpoint": "x" * 201}, "/touchpoint", "too_long"),
        ({"touchpoint": "a\nb"}, "/touchpoint", "control_character"),
        ({"touchpoint": "a\x9bb"}, "/touchpoint", "control_character"),
        ({"segment": 1}, "/segment", "wrong_type"),
        ({"answered_at": 1700000000}, "/answered_at", "wrong_type"),
        ({"answered_at": "1700000000"}, "/answered_at", "not_a_time"),
        ({"answered_at": "2026-03-01"}, "/answered_at", "not_a_time"),
        ({"answered_at": "2026-03-01T10:00:00"}, "/answered_at", "not_a_time"),
        ({"answered_at": "2026-03-01T10:00+01:00"}, "/answered_at", "not_a_time"),
        ({"answered_at": "2026-02-30T10:00:00Z"}, "/answered_at", "not_a_time"),
        ({"answered_at": "2026-03-01T24:00:00Z"}, "/answered_at", "not_a_time"),
        ({"answered_at": "2026-03-01T10:00:00+24:00"}, "/answered_at", "not_a_time"),
        ({"answered_at": "２026-03-01T10:00:00Z"}, "/answered_at", "not_a_time"),
        ({"answered_at": "0001-01-01T00:00:00+14:00"}, "/answered_at", "out_of_range"),
        ({"answered_at": "9999-12-31T23:59:59-14:00"}, "/answered_at", "out_of_range"),
        ({"answered_at": "9999-12-31T23:59:60Z"}, "/answered_at", "out_of_range"),
        ({"answered_at": "2026-03-03T09:00:01Z"}, "/answered_at", "in_future"),
        ({"customer": "Anna"}, "/customer", "wrong_type"),
        ({"customer": []}, "/customer", "wrong_type"),
        ({"customer": {"id": True}}, "/customer/id", "wrong_type"),
        ({"customer": {"id": "x" * 201}}, "/customer/id", "too_long"),
        ({"customer": {"name": 7}}, "/customer/name", "wrong_type"),
        ({"customer": {"name": "a\r\nBcc: b"}}, "/customer/name", "control_character"),
        ({"customer": {"do_not_contact": "no"}}, "/customer/do_not_contact", "wrong_type"),
        ({"customer": {"consent": True}}, "/customer/consent", "wrong_type"),
        (
            {"customer": {"consent": {"follow_up": 1}}},
            "/customer/consent/follow_up",
            "wrong_type",
        ),
        (
            {"customer": {"annual_value": {"amount": "1", "currency": "EUR"}}},
            "/customer/annual_value/amount",
            "wrong_type",
        ),
        (
            {"customer": {"annual_value": {"amount": 10**16, "currency": "EUR"}}},
            "/customer/annual_value/amount",
            "out_of_range",
        ),
        (
            {"customer": {"annual_value": {"amount": 1, "currency": "euros"}}},
            "/customer/annual_value/currency",
            "unknown_value",
        ),
        ({"attributes": []}, "/attributes", "wrong_type"),
        ({"attributes": {str(n): n for n in range(51)}}, "/attributes", "too_many"),
        ({"attributes": {"x" * 101: 1}}, "/attributes", "too_long"),
        ({"attributes": {" ": 1}}, "/attributes", "blank"),
        ({"attributes": {"a\nb": 1}}, "/attributes", "control_character"),
        ({"attributes": {"a": ["x" * 2_000]}}, "/attributes", "too_long"),
        ({"unknown": {"a": "x" * 2_000}}, "/attributes", "too_long"),
    ],
)
def test_what_breaks_a_rule_is_named(members: dict[str, Any], pointer: str, code: str) -> None:
    assert codes_of({**LEAST, **members}) == {(pointer, code)}


@pytest.mark.parametrize("document", [None, 9, "A-1", True, [], [LEAST], 1.5])
def test_a_response_is_an_object(document: object) -> None:
    assert codes_of(document) == {("", "wrong_type")}


def test_every_finding_comes_at_once() -> None:
    assert codes_of(
        {"score": "9", "comment": "x" * 10_001, "touchpoint": "a\nb", "answered_at": "now"}
    ) == {
        ("/score", "wrong_type"),
        ("/external_id", "missing"),
        ("/comment", "too_long"),
        ("/touchpoint", "control_character"),
        ("/answered_at", "not_a_time"),
    }


def test_a_finding_repeats_nothing_of_what_was_posted() -> None:
    canary = "canary-7f3a"
    found = findings_of(
        {
            "external_id": canary * 40,
            "score": canary,
            "metric": canary,
            "sentiment": canary,
            "measurement": canary,
            "comment": [canary],
            "touchpoint": canary * 40,
            "answered_at": canary,
            "customer": {canary: [canary] * 500, "id": [canary], "consent": {canary: 1}},
            "attributes": {canary * 20: canary},
            canary + "x" * 100: {canary: canary * 300},
        }
    )
    assert len(found) > 8
    assert canary not in repr(found)
    assert all(finding.fix for finding in found)


@pytest.mark.parametrize(
    ("members", "clear"),
    [
        ({"score": 0}, {"score": 0}),
        ({"score": 10}, {"score": 10}),
        ({"score": 1, "metric": "csat"}, {"score": 1, "metric": "csat"}),
        ({"score": 7, "metric": "ces"}, {"score": 7, "metric": "ces"}),
        ({"score": None, "measurement": "unsolicited"}, {"measurement": "unsolicited"}),
        ({"touchpoint": "  door "}, {"score": 9, "touchpoint": "door"}),
        ({"touchpoint": "cafe\u0301"}, {"score": 9, "touchpoint": "caf\u00e9"}),
        ({"touchpoint": ""}, {"score": 9}),
        ({"touchpoint": None, "metric": None}, {"score": 9}),
    ],
)
def test_what_fits_is_normalised_and_gets_no_defaults(
    members: dict[str, Any], clear: dict[str, Any]
) -> None:
    assert understand({**LEAST, **members}, now=NOW).part.clear == clear


def test_the_external_id_is_trimmed_and_composed() -> None:
    read = understand({**LEAST, "external_id": " cafe\u0301 \u2003"}, now=NOW)
    assert read.external_id == "caf\u00e9"
    assert understand({**LEAST, "external_id": " " + "x" * 200}, now=NOW).external_id


@pytest.mark.parametrize(
    "comment", ["", "  ", "é", "e\u0301", "a\tb\r\nc\x1b[31m", "😀" * 10_000]
)
def test_a_comment_is_kept_as_it_is(comment: str) -> None:
    assert understand({**LEAST, "comment": comment}, now=NOW).part.comment == comment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T10:00:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01t10:00:00z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01 10:00:00+01:00", datetime(2026, 3, 1, 9, tzinfo=UTC)),
        ("2026-03-01T10:00:00.5-05:30", datetime(2026, 3, 1, 15, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-03-01T10:00:00.1234567Z", datetime(2026, 3, 1, 10, 0, 0, 123_456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("1899-01-01T00:00:00Z", datetime(1899, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("2026-03-03T09:00:00Z", NOW + timedelta(hours=24)),
    ],
)
def test_moments_of_any_age_are_read_into_utc(text: str, moment: datetime) -> None:
    assert read_moment(text, now=NOW) == moment


@given(st.text(max_size=40))
def test_any_text_is_a_moment_or_the_name_of_what_is_wrong(text: str) -> None:
    read = read_moment(text, now=NOW)
    assert isinstance(read, str) or read.tzinfo is UTC


@given(
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(2026, 1, 1)),  # noqa: DTZ001 - zones are added
    st.integers(-14 * 60, 14 * 60),
)
def test_a_moment_means_the_same_with_any_offset(naive: datetime, offset: int) -> None:
    sign = "-" if offset < 0 else "+"
    hours, minutes = divmod(abs(offset), 60)
    text = f"{naive.isoformat(timespec='microseconds')}{sign}{hours:02}:{minutes:02}"
    read = read_moment(text, now=NOW)
    assert read in {
        naive.replace(tzinfo=UTC) - timedelta(minutes=offset),
        "out_of_range",
    }


def test_unknown_members_are_kept_as_attributes() -> None:
    read = understand(
        {
            **LEAST,
            "wave": 3,
            "ratio": 1.0,
            "vip": False,
            "nothing": None,
            "answers": [{"q": 1, "a": "ø"}],
            "attributes": {"shop": "Odense"},
            "customer": {"id": "C-1", "tier": "gold"},
        },
        now=NOW,
    )
    assert read.part.attributes == {
        "wave": 3,
        "ratio": 1,
        "vip": False,
        "answers": '[{"q":1,"a":"ø"}]',
        "shop": "Odense",
        "customer.tier": "gold",
    }
    assert read.part.customer == {"id": "C-1"}
    assert read.warnings == ()


def test_an_attribute_that_was_sent_twice_keeps_the_explicit_one_and_warns() -> None:
    read = understand({**LEAST, "wave": 3, "attributes": {"wave": 4}}, now=NOW)
    assert read.part.attributes == {"wave": 4}
    assert [(w.pointer, w.code) for w in read.warnings] == [
        ("/attributes", "attribute_sent_twice")
    ]


@pytest.mark.parametrize(
    ("customer", "kept", "unusable"),
    [
        ({"email": "a@b.example"}, {"email": "a@b.example"}, []),
        ({"email": "none"}, {"email": "none"}, ["email"]),
        ({"email": 12}, {"email": "12"}, ["email"]),
        ({"email": {"a": 1}}, {"email": '{"a":1}'}, ["email"]),
        ({"email": "a@b.example\r\nBcc: c@d.example"}, None, ["email"]),
        ({"email": ""}, {}, []),
        ({"phone": "+45 12 34 56 78"}, {"phone": "+45 12 34 56 78"}, []),
        ({"phone": "ask my wife"}, {"phone": "ask my wife"}, ["phone"]),
        ({"phone": 4512345678}, {"phone": "4512345678"}, []),
        ({"phone": "n/a", "email": "-"}, {"phone": "n/a", "email": "-"}, ["email", "phone"]),
    ],
)
def test_an_unusable_address_never_costs_the_feedback(
    customer: dict[str, Any], kept: dict[str, Any] | None, unusable: list[str]
) -> None:
    read = understand({**LEAST, "customer": customer}, now=NOW)
    assert read.part.customer == (customer if kept is None else kept)
    assert [w.code for w in read.warnings] == [f"unusable_{name}" for name in unusable]


def test_the_rest_of_the_customer_is_kept_in_order() -> None:
    block = {
        "id": 4711,
        "name": " Anna Example ",
        "annual_value": {"amount": 1200.0, "currency": "eur"},
        "consent": {"follow_up": True, "news": None},
        "do_not_contact": False,
        "account": "",
    }
    assert understand({**LEAST, "customer": block}, now=NOW).part.customer == {
        "id": "4711",
        "name": "Anna Example",
        "annual_value": {"amount": 1200, "currency": "EUR"},
        "consent": {"follow_up": True},
        "do_not_contact": False,
    }


@pytest.mark.parametrize(
    ("customer", "identifier"),
    [
        ({"id": "C-1", "email": "a@b.example"}, "C-1"),
        ({"email": " A@B.example "}, "a@b.example"),
        ({"email": "none"}, None),
        ({"name": "Anna", "phone": "12345678"}, None),
        ({}, None),
    ],
)
def test_only_an_id_or_a_usable_address_identifies(
    customer: dict[str, Any], identifier: str | None
) -> None:
    assert identifier_of(customer) == identifier


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("a@b.example", True),
        ("first.last+tag@sub.example.co", True),
        ("ægir@example.dk", True),
        ("a@bücher.example", True),
        ("a", False),
        ("@b.example", False),
        ("a@b", False),
        ("a@.example", False),
        ("a@@b.example", False),
        ("a b@c.example", False),
        ("a@b.example, c@d.example", False),
        ("Anna <a@b.example>", False),
        ("a..b@c.example", False),
        (".a@c.example", False),
        ("a@1.2.3.4", False),
        ("a@b.example\n", True),
        ("a\n@b.example", False),
        ("a" * 250 + "@b.example", False),
    ],
)
def test_addresses(text: str, usable: bool) -> None:
    assert is_address(text) is usable


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("+45 12 34 56 78", True),
        ("(030) 123-45/67", True),
        ("0301234567 ext. 12", True),
        ("0301234567x12", True),
        ("112", False),
        ("none", False),
        ("12+345678", False),
        ("1" * 18, False),
        ("0301234567 x", False),
    ],
)
def test_telephone_numbers(text: str, usable: bool) -> None:
    assert is_telephone_number(text) is usable


def test_the_wire_type_and_the_rules_know_the_same_members() -> None:
    assert frozenset(ResponseIn.__annotations__) == KNOWN
