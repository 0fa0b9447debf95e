"""What a poll of responses names: noted when it is new, counted by the day of the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain

from services.loop.journey import store
from services.loop.journey.domain import KINDS, UNKNOWN, AnswerCell
from shared.db.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class Named:
    """The codes that one response names."""

    day: date
    touchpoint: str | None
    segment: str | None
    product: str | None
    reason: str | None
    emotion: str | None


async def note_codes(tx: Transaction, named: Iterable[Named], *, now: datetime) -> None:
    """Note what no response has named before; it is listed until somebody describes it."""
    every = list(named)
    await store.note_unmapped(tx, {one.touchpoint for one in every if one.touchpoint}, now=now)
    await store.note_codes(
        tx,
        {
            (kind, code)
            for one in every
            for kind in KINDS
            if (code := getattr(one, kind)) and code != UNKNOWN
        },
        now=now,
    )


async def count_answers(
    tx: Transaction, counted: Iterable[Named], uncounted: Iterable[Named] = ()
) -> None:
    """Count these responses under their codes, and those that they replaced out again."""
    changes = Counter(chain.from_iterable(map(_cells, counted)))
    changes.subtract(chain.from_iterable(map(_cells, uncounted)))
    await store.move_counts(tx, {cell: n for cell, n in changes.items() if n})


async def count_emotion(
    tx: Transaction, *, reason: str | None, emotion: str, day: date, n: int = 1
) -> None:
    """Count what staff heard from a customer in a contact, under the reason of the response."""
    await store.move_counts(tx, {AnswerCell(day, "contact", reason or UNKNOWN, emotion): n})


def _cells(named: Named) -> Iterator[AnswerCell]:
    yield AnswerCell(named.day, "touchpoint", named.touchpoint or UNKNOWN, "")
    yield AnswerCell(named.day, "segment", named.segment or UNKNOWN, "")
    yield AnswerCell(named.day, "product", named.product or UNKNOWN, "")
    yield AnswerCell(named.day, "reason", named.reason or UNKNOWN, named.emotion or "")
