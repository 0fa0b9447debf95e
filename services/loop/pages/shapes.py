"""What several pages show: a score with its word, a clock, a customer's words with evidence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote

from services.loop.pages.labels import CATEGORIES
from services.loop.responses.domain import Personal
from shared.consent import Refusal
from shared.i18n import marked
from shared.stats.categories import RANGES, Category, Metric, category_of

_TELEPHONE: Final = re.compile(r"\+?[0-9][0-9 ()/.-]{3,24}")
_ADDRESS: Final = re.compile(r"[^\s@<>\"',;:]+@[^\s@<>\"',;:]+")
_SOON: Final = timedelta(hours=2)
_NEAR: Final = timedelta(hours=24)
_BANDS: Final = {
    Category.DETRACTOR: "low",
    Category.DISSATISFIED: "low",
    Category.PASSIVE: "middle",
    Category.NEUTRAL: "middle",
    Category.PROMOTER: "high",
    Category.SATISFIED: "high",
}


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A score, with the word that says what it means; never a colour alone."""

    score: int | None
    most: int
    band: str
    word: str


def mark_of(metric: Metric, score: int | None) -> Mark:
    """Return the score as it is shown."""
    category = category_of(metric, score)
    if category is None:
        return Mark(score=None, most=RANGES[metric][1], band="middle", word=marked("no score"))
    return Mark(
        score=score,
        most=RANGES[metric][1],
        band=_BANDS[category],
        word=CATEGORIES[category],
    )


@dataclass(frozen=True, kw_only=True)
class Clock:
    """A moment by which something is promised, seen from now."""

    at: datetime
    now: datetime

    @property
    def left(self) -> timedelta:
        """Return how long until then, or since."""
        return self.at - self.now

    @property
    def late(self) -> bool:
        """Tell whether the moment has passed."""
        return self.at < self.now

    @property
    def soon(self) -> bool:
        """Tell whether it is a matter of one or two hours."""
        return not self.late and self.left <= _SOON

    @property
    def near(self) -> bool:
        """Tell whether it is less than a day away, so that a span says more than a date."""
        return not self.late and self.left <= _NEAR


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of a comment; ``themes`` are the numbers of those that it is evidence of."""

    text: str
    themes: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    """The numbers of the themes whose evidence ends with this piece."""


def pieces(comment: str, evidence: Sequence[tuple[int, int] | None]) -> tuple[Piece, ...]:
    """Cut a comment where evidence begins and ends; spans count code points and may overlap.

    The theme at place ``i`` has the number ``i + 1``. Spans that do not lie in the comment,
    because the customer changed it, are left out.
    """
    spans = {
        number: span
        for number, span in enumerate(evidence, start=1)
        if span is not None and 0 <= span[0] < span[1] <= len(comment)
    }
    cuts = sorted({0, len(comment), *(place for span in spans.values() for place in span)})
    return tuple(
        Piece(
            text=comment[start:end],
            themes=tuple(n for n, (a, b) in spans.items() if a <= start and end <= b),
            ends=tuple(n for n, (_, b) in spans.items() if b == end),
        )
        for start, end in pairwise(cuts)
    )


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a customer wrote, or why there is nothing to read."""

    text: str | None = field(default=None, repr=False)
    language: str | None = None
    erased: bool = False
    pieces: tuple[Piece, ...] = field(default=(), repr=False)


def words_of(
    personal: Personal | None,
    language: str | None,
    evidence: Sequence[tuple[int, int] | None] = (),
) -> Words:
    """Return the comment as it is shown; ``personal`` is None for an erased person."""
    if personal is None:
        return Words(erased=True)
    comment = personal.comment if personal.comment and personal.comment.strip() else None
    return Words(
        text=comment,
        language=tag_of(language),
        pieces=pieces(comment, evidence) if comment else (),
    )


def tag_of(language: str | None) -> str | None:
    """Return a language as an attribute may carry it; senders write what they like."""
    tag = (language or "").strip().replace("_", "-")
    parts = tag.split("-")
    plain = all(part.isascii() and part.isalnum() and len(part) <= 8 for part in parts)
    return tag if plain and 2 <= len(parts[0]) <= 3 and parts[0].isalpha() else None


@dataclass(frozen=True, kw_only=True)
class Customer:
    """Whom the task is about, as far as the source told."""

    name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    language: str | None = None
    account: str | None = field(default=None, repr=False)
    contact_owner: str | None = field(default=None, repr=False)
    annual_value: tuple[float, str] | None = None
    follow_up: bool | None = None
    news: bool | None = None
    do_not_contact: bool = False
    unusable: frozenset[str] = frozenset()
    erased: bool = False

    @property
    def may_be_contacted(self) -> bool:
        """Tell whether there is somebody who did not ask us not to call or write."""
        return not (self.erased or self.do_not_contact or self.follow_up is False)

    @property
    def phone_link(self) -> str | None:
        """Return what dials the customer, if they may be called and it can be dialled."""
        phone = self.phone or ""
        if (
            not self.may_be_contacted
            or "phone" in self.unusable
            or not _TELEPHONE.fullmatch(phone)
        ):
            return None
        return "tel:" + "".join(char for char in phone if char in "+0123456789")

    @property
    def email_link(self) -> str | None:
        """Return what begins a mail to the customer, if they may be written to."""
        email = self.email or ""
        if (
            not self.may_be_contacted
            or "email" in self.unusable
            or not _ADDRESS.fullmatch(email)
        ):
            return None
        return "mailto:" + quote(email, safe="@")


def customer_of(personal: Personal | None) -> Customer:
    """Read the customer block; what is not in it, or not in form, is missing."""
    if personal is None:
        return Customer(erased=True)
    block = personal.customer
    consent = block.get("consent")
    agreed = consent if isinstance(consent, dict) else {}
    return Customer(
        name=_text(block.get("name")),
        email=_text(block.get("email")),
        phone=_text(block.get("phone")),
        language=_text(block.get("language")),
        account=_text(block.get("account")),
        contact_owner=_text(block.get("contact_owner")),
        annual_value=_money(block.get("annual_value")),
        follow_up=_yes_or_no(agreed.get("follow_up")),
        news=_yes_or_no(agreed.get("news")),
        do_not_contact=block.get("do_not_contact") is True,
        unusable=personal.unusable,
    )


def customer_now(
    personal: Personal | None, *, erased: bool, refused: Refusal | None
) -> Customer:
    """Return whom it is about, with what they asked for with any of their answers."""
    customer = replace(customer_of(personal), erased=erased)
    if refused == "do_not_contact":
        return replace(customer, do_not_contact=True)
    return replace(customer, follow_up=False) if refused == "no_consent" else customer


def _text(value: Any) -> str | None:  # noqa: ANN401 - whatever a source sent
    return value.strip() or None if isinstance(value, str) else None


def _yes_or_no(value: Any) -> bool | None:  # noqa: ANN401 - whatever a source sent
    return value if isinstance(value, bool) else None


def _money(value: Any) -> tuple[float, str] | None:  # noqa: ANN401 - whatever a source sent
    if not isinstance(value, dict):
        return None
    amount, currency = value.get("amount"), value.get("currency")
    if isinstance(amount, bool) or not isinstance(amount, int | float | str):
        return None
    try:
        return float(amount), str(currency or "")
    except ValueError:
        return None
