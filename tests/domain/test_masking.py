"""What is covered up before colleagues learn from a case."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loop.themes.domain.masking import masked, secrets_of

CUSTOMER: dict[str, Any] = {
    "id": "C-88",
    "name": "Maya Lindqvist",
    "email": "maya.l@example.org",
    "phone": "+46 70 123 45 67",
    "account": "Nordhav Fisk",
    "annual_value": {"amount": 1240},
}
SECRETS = secrets_of(CUSTOMER, {"Order": "88-1042", "colour": "blue", "parcels": 73}, "T/4711")


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("Maya Lindqvist called.", "[name] called."),
        ("MAYA was right, Lindqvist's parcel", "[name] was right, [name]'s parcel"),
        ("Mayas Paket, Lindqvistovi", "[name] Paket, [name]"),
        ("write to maya.l@example.org or other@example.com", "write to [e-mail] or [e-mail]"),
        ("call +46 70 123 45 67 or 0701234567", "call [number] or [number]"),
        ("order 88-1042 and T/4711, id C-88", "order [number] and [number], id [number]"),
        ("73 parcels", "[number] parcels"),
        ("see https://shop.example/o/88?x=1 now", "see [number] now"),
        ("the account of Nordhav Fisk", "the account of [name]"),
        ("parcel 00340 4341 6101", "parcel [number]"),
        ("AB-123456-X came", "[number] came"),
    ],
)
def test_whatever_tells_who_it_is_about_is_covered(text: str, covered: str) -> None:
    assert masked(text, SECRETS) == covered


@pytest.mark.parametrize(
    "text",
    [
        "The blue one came on 3 March 2026 at 10:30, 40 minutes late.",
        "Mayonnaise is fine, maybe 12 of 13.",
        "",
    ],
)
def test_the_rest_can_still_be_read(text: str) -> None:
    assert masked(text, SECRETS) == text


def test_a_name_is_covered_in_every_case_that_it_stands_in() -> None:
    secrets = secrets_of({"name": "Hanna Kowalska"}, {}, None)

    text = "Z Hanną i dla Hanny Kowalskiej; Hannie pomogli."
    assert masked(text, secrets) == "Z [name] i dla [name] [name]; [name] pomogli."


def test_nothing_is_covered_where_there_is_nothing() -> None:
    assert masked(None, SECRETS) is None
    assert masked("Hello", secrets_of({}, {}, None)) == "Hello"


@given(
    before=st.text(alphabet=" .,;!?()\n", max_size=5),
    after=st.text(alphabet=" .,;!?()\n", max_size=5),
    case=st.sampled_from([str.upper, str.lower, str.title]),
    secret=st.sampled_from(["Maya", "Lindqvist", "maya.l@example.org", "88-1042", "T/4711"]),
)
def test_no_secret_survives_between_marks(
    before: str, after: str, case: Any, secret: str
) -> None:
    found = masked(f"x {before}{case(secret)}{after} y", SECRETS)

    assert found is not None
    assert secret.casefold() not in found.casefold()
