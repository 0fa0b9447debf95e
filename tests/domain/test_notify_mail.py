"""Addresses, header values and words: what may stand in a mail, and what becomes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.mail import (
    address_problem,
    body_safe,
    header_safe,
    sender_of,
    wrapped,
)


@pytest.mark.parametrize(
    "address",
    [
        "ana@example.org",
        "a.b+c@mail.example.co.uk",
        "closed-loop@localhost.localdomain",
        "o'neil@example.org",
        "x@xn--bcher-kva.example",
    ],
)
def test_plain_addresses_are_taken(address: str) -> None:
    assert address_problem(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@",
        "ana",
        "ana@",
        "@example.org",
        "ana@example",
        "ana@@example.org",
        "ana@exa mple.org",
        " ana@example.org",
        "ana@example.org\r\nRCPT TO:<evil@example.org>",
        "ana@example.org\n",
        "ana@example.org, evil@example.org",
        "Ana <ana@example.org>",
        "<ana@example.org>",
        "alice@example.org)bob@evil.example",
        "ana(comment)@example.org",
        '"ana"@example.org',
        "@relay.example:ana@example.org",
        "group:ana@example.org;",
        ".ana@example.org",
        "a..b@example.org",
        "ana@-example.org",
        "ana@example-.org",
        "ana@example.org.",
        "ana@127.0.0.1",
        "ana@[127.0.0.1]",
        "änne@example.org",
        "ana@bücher.example",
        "ana@example.org\x00",
        "a" * 65 + "@example.org",
        "a@" + "b" * 64 + ".org",
        "a@" + "b." * 130 + "org",
    ],
)
def test_anything_else_is_no_address(address: str) -> None:
    assert address_problem(address) is not None


@given(st.text())
def test_header_values_hold_nothing_that_ends_or_turns_a_line(text: str) -> None:
    safe = header_safe(text)

    assert safe.isprintable()
    assert "=?" not in safe
    assert len(safe) <= 200
    assert not set(safe) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028")


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Doorstep delivery", "Doorstep delivery"),
        ("a\r\nBcc: evil@example.org", "a Bcc: evil@example.org"),
        ("=?utf-8?q?x=0ABcc:_evil?=", "= ?utf-8?q?x=0ABcc:_evil?="),
        ("==??", "== ??"),
        ("a\u202eb\u2066c", "a b c"),
        ("  a \t b ", "a b"),
        ("Überlauf 你好", "Überlauf 你好"),
    ],
)
def test_header_values_stay_readable(text: str, safe: str) -> None:
    assert header_safe(text) == safe


def test_long_header_values_are_cut_visibly() -> None:
    assert header_safe("x" * 300, longest=60) == "x" * 59 + "…"


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("Closed Loop <a@example.org>", "Closed Loop", "a@example.org"),
        ('"Closed Loop" <a@example.org>', "Closed Loop", "a@example.org"),
        ("a@example.org", "", "a@example.org"),
    ],
)
def test_a_sender_is_a_name_and_an_address(text: str, name: str, address: str) -> None:
    sender = sender_of(text)

    assert sender is not None
    assert (sender.name, sender.address) == (name, address)
    assert sender.domain == "example.org"


@pytest.mark.parametrize(
    "text", ["", "nobody", "a@example.org, b@example.org", "x\r\nBcc: y <a@example.org>"]
)
def test_anything_else_is_no_sender(text: str) -> None:
    assert sender_of(text) is None


def test_words_keep_their_lines_and_lose_what_is_invisible() -> None:
    words = "one\r\ntwo\tthree\x00\x1b\u202e\nfamily 👨\u200d👩\u200d👧"

    assert body_safe(words) == "one\ntwo\tthree\nfamily 👨\u200d👩\u200d👧"


def test_lines_have_72_columns_and_addresses_stay_whole() -> None:
    address = "https://closed-loop.example/" + "x" * 80
    text = wrapped(f"{'word ' * 40}\n\n{address}", prefix="> ")

    lines = text.split("\n")
    assert all(len(line) <= 72 for line in lines if "https" not in line)
    assert f"> {address}" in lines
    assert ">" in lines
