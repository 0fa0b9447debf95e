"""Half a year of an invented mail-order company, drawn by lot from a fixed seed.

The structure is real enough to be found: late deliveries rise in the last six weeks, the
support line improves after a change in week 14, one customer is let down three times, and
there is praise. About 600 responses over 26 weeks in five languages.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.demo.voices import LANGUAGES, NAMES, PLAIN, VOICES, Language, Tone

WEEKS = 26
CHANGE_IN_WEEK = 14
RISE_FROM_WEEK = 20


@dataclass(frozen=True, kw_only=True)
class Place:
    """A touchpoint of the sample: what is said there, how content people are, how many."""

    code: str
    name: str
    macro: str
    department: str
    subjects: tuple[str, ...]
    content: float
    weekly: int
    key: bool = False


PLACES = (
    Place(
        code="doorstep",
        name="Doorstep delivery",
        macro="Delivery",
        department="Logistics",
        key=True,
        subjects=("late", "damaged", "staff"),
        content=0.74,
        weekly=8,
    ),
    Place(
        code="support-call",
        name="Support call",
        macro="Service",
        department="Customer service",
        key=True,
        subjects=("waiting", "staff"),
        content=0.48,
        weekly=6,
    ),
    Place(
        code="web-shop",
        name="Web shop",
        macro="Buying",
        department="Web and sales",
        subjects=("website", "invoice"),
        content=0.78,
        weekly=5,
    ),
    Place(
        code="invoice",
        name="Invoice",
        macro="Paying",
        department="Finance",
        subjects=("invoice", "waiting"),
        content=0.7,
        weekly=3,
    ),
)

OTHER_NAME = "front-door"
"""What one sender calls the doorstep; mapped to it once it has been seen."""
NEW_PLACE = "app-chat"
"""A place that nobody has described yet."""
SEGMENTS = {
    "Standard": {"en": "Standard", "de": "Standard"},
    "Gold": {"en": "Gold customers", "de": "Goldkunden"},
    "Business": {"en": "Business customers", "de": "Geschäftskunden"},
}
PRODUCTS = {
    "Lighting": {"en": "Lighting", "de": "Leuchten"},
    "Furniture": {"en": "Furniture", "de": "Möbel"},
}

THEMES = {
    "Logistics": ("delivery", "goods", "appointments"),
    "Customer service": ("waiting", "friendliness", "competence", "reachability", "unsolved"),
    "Web and sales": ("digital", "information", "facilities"),
    "Finance": ("price",),
}
"""Which department answers for which theme, by name: it may be taken away with the sample."""

_WEIGHTS = (34, 26, 16, 12, 12)


def responses(now: datetime) -> list[dict[str, Any]]:
    """Return the sample as documents for ``POST /v1/responses``, oldest first."""
    lot = random.Random(20260302)
    made: list[dict[str, Any]] = []
    start = now - timedelta(weeks=WEEKS)
    for week in range(WEEKS):
        for place in PLACES:
            for _ in range(place.weekly + lot.choice((-1, 0, 0, 1, 2))):
                answered = start + timedelta(
                    weeks=week, days=lot.randrange(7), minutes=lot.randrange(7 * 60, 21 * 60)
                )
                if answered < now - timedelta(minutes=30):
                    made.append(_one(lot, place, week, answered, len(made)))
    made.extend(_let_down_three_times(now))
    return sorted(made, key=lambda document: document["answered_at"])


def _one(
    lot: random.Random, place: Place, week: int, answered: datetime, number: int
) -> dict[str, Any]:
    language = lot.choices(LANGUAGES, _WEIGHTS)[0]
    content = place.content
    subjects = list(place.subjects)
    if place.code == "support-call" and week >= CHANGE_IN_WEEK:
        content = 0.84
    if place.code == "doorstep" and week >= RISE_FROM_WEEK:
        content = 0.74 - 0.08 * (week - RISE_FROM_WEEK + 1)
        subjects += ["late"] * (week - RISE_FROM_WEEK + 2)
    happy = lot.random() < content
    score = lot.choice((9, 9, 10, 10, 8, 7)) if happy else lot.choice((0, 1, 2, 3, 4, 5, 6, 7))
    document: dict[str, Any] = {
        "external_id": f"sample-{number:04d}",
        "metric": "nps",
        "score": score,
        "touchpoint": _called(place, number),
        "transaction_id": f"88-{1000 + number}",
        "segment": lot.choices(("Standard", "Gold", "Business"), (6, 3, 2))[0],
        "product": lot.choice(("Lighting", "Furniture", "Garden")),
        "channel": lot.choice(("email", "sms", "web")),
        "language": language,
        "answered_at": answered.isoformat(),
        "customer": _customer(lot, language, number),
    }
    comment = _comment(lot, language, subjects, happy=happy)
    if comment is not None:
        document["comment"] = comment
    return document


def _called(place: Place, number: int) -> str:
    """Return the code that the sender uses, which is not always the one we know."""
    if place is PLACES[0] and number % 9 == 0:
        return OTHER_NAME
    return NEW_PLACE if place.code == "web-shop" and number % 11 == 0 else place.code


def _comment(
    lot: random.Random, language: Language, subjects: list[str], *, happy: bool
) -> str | None:
    kind = lot.random()
    if kind < 0.18:
        return None
    tone: Tone = "good" if happy else "bad"
    if kind < 0.28:
        return lot.choice(PLAIN[tone][language])
    return lot.choice(VOICES[lot.choice(subjects), tone][language])


def _customer(lot: random.Random, language: Language, number: int) -> dict[str, Any]:
    name = lot.choice(NAMES[language])
    handle = name.split()[0].lower().encode("ascii", "ignore").decode() or "customer"
    return {
        "id": f"C-{2000 + number}",
        "name": name,
        "email": f"{handle}.{number}@example.org",
        "phone": f"+44 20 7946 {number % 1000:04d}",
        "language": language,
        "consent": {"follow_up": True},
    }


def _let_down_three_times(now: datetime) -> list[dict[str, Any]]:
    """Return the story of one customer who complains again and again."""
    story = (
        (24, 6, "Waited half an hour on the phone and was put through twice."),
        (11, 4, "The parcel came two days late, again without a word."),
        (0, 2, "Late for the second time this month, and nobody calls back."),
    )
    return [
        {
            "external_id": f"sample-story-{turn}",
            "metric": "nps",
            "score": score,
            "comment": words,
            "touchpoint": "doorstep" if turn else "support-call",
            "transaction_id": f"88-99{turn}",
            "segment": "Gold",
            "product": "Lighting",
            "channel": "email",
            "language": "en",
            "answered_at": (now - timedelta(days=days, hours=3)).isoformat(),
            "customer": {
                "id": "C-1999",
                "name": "Maya Lindqvist",
                "email": "maya@example.org",
                "phone": "+44 20 7946 0999",
                "language": "en",
                "consent": {"follow_up": True},
                "annual_value": {"amount": "1240.00", "currency": "EUR"},
            },
        }
        for turn, (days, score, words) in enumerate(story)
    ]
