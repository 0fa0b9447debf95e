"""How a column writes its dates, decided over the whole column.

``03/04/2026`` says nothing about what stands first; ``31/12/2025`` anywhere in the column does.
Where nothing does, the doubt is told instead of hidden behind a habit of one country.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

from services.ingest.domain.values import EPOCH, EPOCH_MS, EXCEL

Order = Literal["day", "month", "both", "unknown", "none"]

_DATES: Final = (
    (re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})"), "%Y{0}%m{0}%d"),
    (re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})"), "<1>{0}<2>{0}%Y"),
    (re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{2})"), "<1>{0}<2>{0}%y"),
    (re.compile(r"\d{1,2}([ -])[A-Za-z]{3}\1\d{4}"), "%d{0}%b{0}%Y"),
    (re.compile(r"\d{1,2}([ -])[A-Za-z]{3}\1\d{2}"), "%d{0}%b{0}%y"),
    (re.compile(r"\d{1,2}( )(?:[A-Z][a-z]{3,8}) \d{4}"), "%d{0}%B{0}%Y"),
    (re.compile(r"[A-Z][a-z]{2}( )\d{1,2}, \d{4}"), "%b %d, %Y"),
    (re.compile(r"[A-Z][a-z]{3,8}( )\d{1,2}, \d{4}"), "%B %d, %Y"),
    (re.compile(r"(?:19|20)\d{6}"), "%Y%m%d"),
)
_TIME: Final = re.compile(
    r"(?P<gap>T| at |, | )(?P<hour>\d{1,2}):\d{2}(?P<second>:\d{2}(?P<fraction>\.\d{1,6})?)?"
    r"(?P<half> ?[AaPp][Mm])?(?P<zone> ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}))?"
)
_MONTHS: Final = frozenset(
    "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905 - a line reads better than a list
)
_MONTH: Final = re.compile("[A-Za-z]{3,9}")
_EPOCH: Final = re.compile(r"1\d{9}(?:\.\d{1,6})?")
_EPOCH_MS: Final = re.compile(r"1\d{12}")
_EXCEL: Final = re.compile(r"[2-7]\d{4}(?:[.,]\d{1,12})?")
_MOST_FORMATS: Final = 12
_MOST_KNOWN: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DateShape:
    """What a column's dates look like; ``share`` is how many of its values are dates."""

    formats: tuple[str, ...]
    order: Order
    share: float
    in_utc: bool
    short_years: bool
    half_days: bool


class DateColumn:
    """Gathers evidence value by value, in bounded memory."""

    def __init__(self) -> None:
        self._shapes: Counter[str] = Counter()
        self._known: dict[str, str | None] = {}
        self._seen = 0
        self._day_first = False
        self._month_first = False

    def add(self, text: str) -> None:
        """Look at one value; empty ones say nothing."""
        if not text:
            return
        self._seen += 1
        if text in self._known:
            shape = self._known[text]
        else:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            shape = self._known[text] = self._shape(text)
        if shape is not None and (shape in self._shapes or len(self._shapes) < _MOST_FORMATS):
            self._shapes[shape] += 1

    def _shape(self, text: str) -> str | None:
        if _EPOCH.fullmatch(text):
            return EPOCH
        if _EPOCH_MS.fullmatch(text):
            return EPOCH_MS
        if _EXCEL.fullmatch(text):
            return EXCEL
        for pattern, form in _DATES:
            if (found := pattern.match(text)) is not None:
                rest = self._time(text[found.end() :])
                if rest is not None and self._fits(found, form):
                    gap = next((g for g in found.groups() if g and not g.isdigit()), "")
                    return form.replace("{0}", gap) + rest
        return None

    def _fits(self, found: re.Match[str], form: str) -> bool:
        """Check the numbers or the month's name, and note what they prove."""
        if "<1>" in form:
            first, second = int(found[1]), int(found[3])
            if not (0 < first <= 31 and 0 < second <= 31 and min(first, second) <= 12):
                return False
            self._day_first |= first > 12
            self._month_first |= second > 12
            return True
        if "%b" in form or "%B" in form:
            month = _MONTH.search(found[0])
            return month is not None and month[0][:3].casefold() in _MONTHS
        return True

    @staticmethod
    def _time(rest: str) -> str | None:
        """Return the format of what stands behind the date; None if it is no time."""
        if not rest:
            return ""
        match = _TIME.fullmatch(rest)
        if match is None:
            return None
        half = match["half"] or ""
        form = match["gap"] + ("%I" if half else "%H") + ":%M"
        if match["second"]:
            form += ":%S" + (".%f" if match["fraction"] else "")
        form += (" %p" if half.startswith(" ") else "%p") if half else ""
        zone = match["zone"] or ""
        blank = " " if zone.startswith(" ") else ""
        if zone.strip() in {"UTC", "GMT"}:
            return f"{form}{blank}{zone.strip()}"
        return form + (f"{blank}%z" if zone else "")

    def decide(self) -> DateShape:
        """Return the formats, the commonest first, and how sure the order is."""
        total = sum(self._shapes.values())
        order = self._order()
        formats: list[str] = []
        for shape, _ in self._shapes.most_common():
            for first, second in _SLOTS[order] if "<1>" in shape else (("", ""),):
                formats.append(shape.replace("<1>", first).replace("<2>", second))
        return DateShape(
            formats=tuple(dict.fromkeys(formats)),
            order=order,
            share=total / self._seen if self._seen else 0.0,
            in_utc=bool(total) and all(s.endswith(("UTC", "GMT")) for s in self._shapes),
            short_years=any("%y" in shape for shape in self._shapes),
            half_days=any("%I" in shape for shape in self._shapes),
        )

    def _order(self) -> Order:
        slotted = [shape for shape in self._shapes if "<1>" in shape]
        if not slotted:
            return "none"
        if self._day_first and self._month_first:
            return "both"
        if self._day_first or self._month_first:
            return "day" if self._day_first else "month"
        # With dots, nobody writes the month first.
        return "day" if all("<1>." in shape for shape in slotted) else "unknown"


_DAY_FIRST: Final = ("%d", "%m")
_MONTH_FIRST: Final = ("%m", "%d")
_SLOTS: Final[dict[Order, tuple[tuple[str, str], ...]]] = {
    "day": (_DAY_FIRST,),
    "month": (_MONTH_FIRST,),
    "both": (_DAY_FIRST, _MONTH_FIRST),
    "unknown": (_DAY_FIRST,),
    "none": (_DAY_FIRST,),
}
