"""Signed links: good for one purpose and one subject, until they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Gone, NotFound
from shared.links import read, sign
from shared.sealing import Keyring

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
END = NOW + timedelta(days=14)
KEYRING = Keyring("a" * 40)
TOKEN = sign(KEYRING, "settled", "tsk_1.7", END)


def test_a_link_says_what_it_is_about() -> None:
    assert read(KEYRING, "settled", TOKEN, NOW) == "tsk_1.7"


def test_a_link_ends_at_its_moment_and_not_before() -> None:
    assert read(KEYRING, "settled", TOKEN, END - timedelta(seconds=1)) == "tsk_1.7"
    with pytest.raises(Gone):
        read(KEYRING, "settled", TOKEN, END)


def test_a_link_is_good_for_its_purpose_only() -> None:
    with pytest.raises(NotFound):
        read(KEYRING, "unsubscribe", TOKEN, NOW)


def test_a_link_of_another_installation_is_none_of_ours() -> None:
    with pytest.raises(NotFound):
        read(Keyring("b" * 40), "settled", TOKEN, NOW)


def test_links_outlive_the_secret_that_is_being_replaced() -> None:
    both = Keyring("b" * 40, previous="a" * 40)

    assert read(both, "settled", TOKEN, NOW) == "tsk_1.7"


@given(place=st.integers(0, len(TOKEN) - 1), char=st.characters(codec="utf-8"))
def test_a_link_with_another_character_is_refused(place: int, char: str) -> None:
    changed = TOKEN[:place] + char + TOKEN[place + 1 :]
    if changed == TOKEN:
        return
    with pytest.raises(NotFound):
        read(KEYRING, "settled", changed, NOW)


@given(token=st.text(max_size=300))
def test_whatever_else_stands_there_is_refused(token: str) -> None:
    with pytest.raises(NotFound):
        read(KEYRING, "settled", token, NOW)


def test_a_subject_that_would_not_survive_the_way_is_not_signed() -> None:
    with pytest.raises(ValueError, match="subject"):
        sign(KEYRING, "settled", "maya@example.org", END)
