"""What people read: languages, dates, spans of time, and words with their evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.loop.pages.shapes import Clock, customer_of, pieces, tag_of, words_of
from services.loop.responses.domain import Personal
from shared.i18n import Reader, accepted, marked, supported, translations

NOW = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
ENGLISH = Reader(language="en", time_zone="Europe/Berlin")
GERMAN = Reader(language="de", time_zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        (None, "en"),
        ("", "en"),
        ("fr", "en"),
        ("de", "de"),
        ("fr, de-AT;q=0.8, en;q=0.5", "de-AT"),
        ("en;q=0.1, de;q=0.9", "de"),
        ("de;q=0, en", "en"),
        ("de;q=nonsense, *;q=0.1", "en"),
        ("," * 10_000, "en"),
    ],
)
def test_the_best_language_that_both_know_is_spoken(header: str | None, tag: str) -> None:
    assert accepted(header) == tag


@pytest.mark.parametrize(
    ("tag", "catalogue"), [("de-CH", "de"), ("DE_de", "de"), ("pl", None), (None, None)]
)
def test_a_tag_finds_its_catalogue(tag: str | None, catalogue: str | None) -> None:
    assert supported(tag) == catalogue


def test_moments_are_said_on_the_readers_own_clock() -> None:
    assert ENGLISH.moment(NOW) == "3 Mar 2026, 00:30"
    assert GERMAN.moment(NOW) == "03.03.2026, 00:30"
    assert Reader(time_zone="Nowhere/Land").time(NOW) == "23:30"
    assert Reader(language="en-US").time(NOW).replace("\u202f", " ") == "11:30 PM"
    assert ENGLISH.date(NOW.date()) == "2 Mar 2026"


def test_the_first_day_of_the_calendar_can_be_said_west_of_utc() -> None:
    west = Reader(time_zone="America/New_York")
    assert west.moment(datetime(1, 1, 1, tzinfo=UTC)).startswith("1 Jan 1,")


@pytest.mark.parametrize(
    ("ahead", "english", "german"),
    [
        (timedelta(hours=2), "02:30", "02:30"),
        (timedelta(days=-2), "Sun 00:30", "So 00:30"),
        (timedelta(days=20), "23 Mar, 00:30", "23. März, 00:30"),
    ],
)
def test_what_is_near_is_said_shortly(ahead: timedelta, english: str, german: str) -> None:
    assert ENGLISH.soon(NOW + ahead, now=NOW) == english
    assert GERMAN.soon(NOW + ahead, now=NOW) == german


@pytest.mark.parametrize(
    ("span", "english", "german"),
    [
        (timedelta(seconds=5), "1 min", "1 Min."),
        (timedelta(minutes=59, seconds=59), "59 mins", "59 Min."),
        (timedelta(hours=2), "2 hrs", "2 Std."),
        (timedelta(hours=-2, minutes=-10), "2 hrs 10 mins", "2 Std. 10 Min."),
        (timedelta(days=1, hours=3), "1 day 3 hrs", "1 Tg. 3 Std."),
        (timedelta(days=40, hours=3), "40 days", "40 Tg."),
    ],
)
def test_spans_have_at_most_two_units(span: timedelta, english: str, german: str) -> None:
    assert ENGLISH.span(span) == english
    assert GERMAN.span(span) == german


def test_numbers_follow_the_language() -> None:
    assert ENGLISH.number(7908) == "7,908"
    assert GERMAN.number(7908.25, 1) == "7.908,2"
    assert ENGLISH.signed(12) == "+12"
    assert ENGLISH.signed(-0.04, 1) == "0.0"
    assert ENGLISH.signed(-3) == "\N{MINUS SIGN}3"
    assert GERMAN.percent(0.14) == "14\u00a0%"
    assert GERMAN.listed(["a", "b", "c"]) == "a, b und c"


def test_texts_have_plural_forms_and_unknown_ones_stand_for_themselves() -> None:
    assert GERMAN.ngettext("%(n)s task", "%(n)s tasks", 1) == "1 Aufgabe"
    assert GERMAN.ngettext("%(n)s task", "%(n)s tasks", 2) == "2 Aufgaben"
    assert GERMAN.gettext("never translated: 100%") == "never translated: 100%"
    assert translations("pl").gettext("My queue") == "My queue"
    assert marked("My queue") == "My queue"


def test_a_clock_knows_late_soon_and_near() -> None:
    def said(left: timedelta) -> tuple[bool, bool, bool]:
        clock = Clock(at=NOW + left, now=NOW)
        return clock.late, clock.soon, clock.near

    assert said(timedelta(seconds=-1)) == (True, False, False)
    assert said(timedelta(0)) == (False, True, True)
    assert said(timedelta(hours=2)) == (False, True, True)
    assert said(timedelta(hours=24)) == (False, False, True)
    assert said(timedelta(hours=25)) == (False, False, False)


def test_evidence_is_cut_by_code_points_and_may_overlap() -> None:
    found = pieces("😡 waited long", [(2, 8), (2, 13), None, (5, 99)])

    assert [(piece.text, piece.themes, piece.ends) for piece in found] == [
        ("😡 ", (), ()),
        ("waited", (1, 2), (1,)),
        (" long", (2,), (2,)),
    ]
    assert "".join(piece.text for piece in pieces("abc", [(0, 3), (1, 2)])) == "abc"
    assert [piece.text for piece in pieces("abc", [])] == ["abc"]


def test_what_cannot_be_read_is_not_made_up() -> None:
    assert words_of(None, "en").erased
    assert words_of(Personal(comment=" \n"), "en").text is None
    assert customer_of(None).erased
    assert customer_of(Personal(customer={"name": 5, "annual_value": {"amount": "x"}})) == (
        customer_of(Personal(customer={"consent": "yes", "email": " "}))
    )
    rich = customer_of(
        Personal(
            customer={
                "name": " Maya ",
                "annual_value": {"amount": "1240.50", "currency": "EUR"},
                "consent": {"follow_up": False},
                "do_not_contact": True,
            }
        )
    )
    assert rich.name == "Maya"
    assert rich.annual_value == (1240.5, "EUR")
    assert rich.follow_up is False
    assert rich.do_not_contact


@pytest.mark.parametrize(
    ("given", "tag"),
    [
        ("de", "de"),
        ("pt_BR", "pt-BR"),
        ('de" onload="x', None),
        ("deutsch", None),
        ("", None),
        (None, None),
    ],
)
def test_only_a_language_tag_becomes_an_attribute(given: str | None, tag: str | None) -> None:
    assert tag_of(given) == tag
