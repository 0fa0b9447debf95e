"""Hours, days and remedies as people type them: read, written back, and read the same again."""

from __future__ import annotations

from typing import Any

import pytest

from services.loop.pages.clocks.texts import (
    Unreadable,
    days_of,
    days_text,
    percents_of,
    percents_text,
    remedies_of,
    remedies_text,
    shifts_of,
    shifts_text,
)


@pytest.mark.parametrize(
    ("typed", "means", "shown"),
    [
        pytest.param("", [], "", id="closed"),
        pytest.param(
            "9-12, 13:00 - 17.30",
            [("09:00", "12:00"), ("13:00", "17:30")],
            "09:00-12:00, 13:00-17:30",
            id="a lunch break",
        ),
        pytest.param("18:00\u201324:00", [("18:00", "00:00")], "18:00-24:00", id="to midnight"),
    ],
)
def test_hours_are_read_as_people_write_them(
    typed: str, means: list[tuple[str, str]], shown: str
) -> None:
    found = shifts_of(typed)

    assert [(one["start"], one["end"]) for one in found] == means
    assert shifts_text(found) == shown
    assert shifts_of(shown) == found


@pytest.mark.parametrize("typed", ["9 to 5", "25-26", "9:00", "9-12,", "24:30-25"])
def test_hours_that_nobody_understands_are_named(typed: str) -> None:
    with pytest.raises(Unreadable):
        shifts_of(typed)


def test_days_are_a_line_each_closed_or_with_hours() -> None:
    typed = "2026-12-31 Geschlossen\n\n2026-12-24: 9-12\n2026-01-02 closed"

    closed, special = days_of(typed, "geschlossen")

    assert closed == ["2026-01-02", "2026-12-31"]
    assert special == {"2026-12-24": [{"start": "09:00", "end": "12:00"}]}
    shown = days_text({"closed": closed, "special": special}, "geschlossen")
    assert shown.splitlines()[1] == "2026-12-24 09:00-12:00"
    assert days_of(shown, "geschlossen") == (closed, special)


@pytest.mark.parametrize("typed", ["24.12.2026 closed", "2026-02-30 closed", "2026-12-24"])
def test_days_that_nobody_understands_are_named(typed: str) -> None:
    with pytest.raises(Unreadable):
        days_of(typed, "closed")


def test_remedies_keep_their_ids_and_new_ones_get_one() -> None:
    known = [{"id": "gift", "name": "Voucher", "kind": "money", "limit": None}]

    found = remedies_of("Voucher = 30,50 eur\nFree re-delivery\nGift", known)

    assert [one["id"] for one in found] == ["gift", "free-re-delivery", "gift-2"]
    assert found[0]["limit"] == {"amount": 30.5, "currency": "EUR"}
    assert (found[1]["kind"], found[1]["limit"]) == ("kind", None)
    assert remedies_of(remedies_text(found), found) == found
    with pytest.raises(Unreadable):
        remedies_of("Voucher = a lot", [])


@pytest.mark.parametrize(
    ("typed", "means"), [("", []), ("50, 80", [0.5, 0.8]), ("100 %", [1.0]), ("7", [0.07])]
)
def test_parts_of_the_time_are_per_cent(typed: str, means: list[Any]) -> None:
    assert percents_of(typed) == means
    assert percents_of(percents_text(means)) == means
