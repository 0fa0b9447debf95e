"""What a column's values look like, from the first rows of a file.

Evidence for guessing only: how many cells are filled and distinct, whether they are numbers on
a scale, addresses, dates, sentences. A profile holds no values beyond the few of a scale.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from services.ingest.domain.dates import DateColumn, DateShape
from services.ingest.domain.headings import NO, WORD_SCALES, YES, plain

_WHOLE: Final = re.compile(r"[+-]?\d{1,9}(?:[.,]0{1,2})?")
_PERCENT: Final = re.compile(r"\d{1,3}(?:[.,]\d{1,2})?\s?%")
_NUMBER: Final = re.compile(r"[+-]?\d[\d .,'\u00a0\u202f]*")
_LABELLED: Final = (
    re.compile(r"(\d{1,2})\s*(?:[-–—:=(]|/\s*\d{1,2}$|\s)\s*.*", re.DOTALL),
    re.compile(r".*[-–—:=(]\s*(\d{1,2})\)?", re.DOTALL),
)
_STARS: Final = re.compile("★{1,10}☆{0,9}")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
_CODE: Final = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z]{2,4})?")
_CURRENCIES: Final = {"€": "EUR", "£": "GBP", "$": "USD", "zł": "PLN", "Kč": "CZK"}
_CURRENCY: Final = re.compile(r"[€£$]|zł|Kč|\b[A-Z]{3}\b")
_FEW: Final = 60
_NOTHING: Final = frozenset(
    {"n/a", "na", "-", "--", "–", "—", "null", "none", "nan", "#n/a", "k.a.", "k. a.", "nd"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How a column writes sums of money."""

    decimal: str
    currency: str | None
    bare: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One column's values in numbers; shares are of the filled cells.

    ``nothing`` are the texts that stand for no answer; they count as empty.
    """

    rows: int
    filled: int
    distinct: int
    whole: float
    percent: float
    lowest: int
    highest: int
    emails: float
    codes: float
    words: float
    dates: DateShape
    scale: dict[str, int] | None
    yes_no: dict[str, bool] | None
    amounts: Amounts | None
    nothing: tuple[str, ...]

    @property
    def is_unique(self) -> bool:
        """Tell whether hardly a value comes twice, as of ids."""
        return self.filled > 0 and self.distinct >= 0.98 * self.filled

    @property
    def is_full(self) -> bool:
        """Tell whether hardly a cell is empty."""
        return self.filled >= 0.98 * self.rows > 0


def profile_of(cells: Iterable[str]) -> Profile:
    """Return what a column's cells look like."""
    every = [" ".join(cell.split()) for cell in cells]
    nothing = tuple(sorted({cell for cell in every if cell.casefold() in _NOTHING}))
    filled = [cell for cell in every if cell and cell not in nothing]
    distinct = Counter(filled)
    numbers = [int(float(c.replace(",", "."))) for c in filled if _WHOLE.fullmatch(c)]
    dates = DateColumn()
    for cell in filled:
        dates.add(cell)
    return Profile(
        rows=len(every),
        filled=len(filled),
        distinct=len(distinct),
        whole=_share(len(numbers), filled),
        percent=_share(sum(_PERCENT.fullmatch(cell) is not None for cell in filled), filled),
        lowest=min(numbers, default=0),
        highest=max(numbers, default=0),
        emails=_share(sum(_EMAIL.fullmatch(cell) is not None for cell in filled), filled),
        codes=_share(sum(_CODE.fullmatch(cell) is not None for cell in filled), filled),
        words=_share(sum(cell.count(" ") + 1 for cell in filled), filled),
        dates=dates.decide(),
        scale=None if len(numbers) == len(filled) else _scale(distinct),
        yes_no=_yes_no(distinct),
        amounts=_amounts(filled),
        nothing=nothing,
    )


def _share(part: int, whole: Sequence[str]) -> float:
    return part / len(whole) if whole else 0.0


def _scale(distinct: Counter[str]) -> dict[str, int] | None:
    """Return what answers in words or with labels stand for, None if they are no scale."""
    if not 1 <= len(distinct) <= _FEW:
        return None
    words = {text: plain(text) for text in distinct}
    for known in WORD_SCALES:
        if all(word in known for word in words.values()):
            seen = {text: known[word] for text, word in words.items()}
            return seen | {w: n for w, n in known.items() if w not in words.values()}
    labelled: dict[str, int] = {}
    for text in distinct:
        number = _labelled(text)
        if number is None:
            return None
        labelled[text] = number
    return labelled


def _labelled(text: str) -> int | None:
    """Return the number in an answer such as ``10 - Extremely likely`` or ``★★★☆☆``."""
    if _STARS.fullmatch(text):
        return text.count("★")
    if text.isdigit() and len(text) <= 2:
        return int(text)
    if len(text) > 60:
        return None
    for pattern in _LABELLED:
        if (found := pattern.fullmatch(text)) is not None:
            return int(found[1])
    return None


def _yes_no(distinct: Counter[str]) -> dict[str, bool] | None:
    if not 1 <= len(distinct) <= 4:
        return None
    words = {text: plain(text) for text in distinct}
    if not all(word in YES | NO for word in words.values()):
        return None
    return {text: word in YES for text, word in words.items()}


def _amounts(filled: Sequence[str]) -> Amounts | None:
    """Return how sums are written: the last mark decides, or the one that groups thousands."""
    votes: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for cell in filled:
        if (money := _CURRENCY.search(cell)) is not None:
            named[_CURRENCIES.get(money[0], money[0])] += 1
        text = _CURRENCY.sub("", cell).strip()
        if not _NUMBER.fullmatch(text):
            return None
        comma, dot = text.rfind(","), text.rfind(".")
        if comma >= 0 and dot >= 0:
            votes["," if comma > dot else "."] += 2
        elif comma >= 0:
            votes["." if text.count(",") > 1 or len(text) - comma == 4 else ","] += 1
        elif dot >= 0:
            votes["," if text.count(".") > 1 or len(text) - dot == 4 else "."] += 1
    if not filled:
        return None
    return Amounts(
        decimal=votes.most_common(1)[0][0] if votes else ".",
        currency=next(iter(named)) if len(named) == 1 else None,
        bare=not named,
    )
