"""Which themes rise: counts by day in, a verdict for each theme out.

Weeks have seven days and end on any day; a week of the calendar is one that ends on a Sunday.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from services.loop.themes.domain.counts import EVERY_COMMENT
from shared.stats.intervals import Interval
from shared.stats.rising import Case, Counts, Judgement, Word, judge, variation

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

BASE_WEEKS: Final = 8
"""What a week is compared with: the eight before."""

WIDER: Final = 4
"""So many weeks are judged together where one alone can tell nothing."""

LEAST_BASE: Final = 4
"""Base weeks with comments that there must be; with fewer nothing is known about the past."""

SETTLED: Final = timedelta(hours=4)
"""So long after its end a week is judged: what was answered on Sunday night is on its way."""

EARLIEST: Final = date(2000, 1, 1)
LATEST: Final = date(2199, 12, 31)
"""Between these days a week may be asked for."""

_WEEK: Final = timedelta(days=7)

Days = Mapping[str, Mapping[date, int]]
"""Mentions by theme and day; under ``EVERY_COMMENT`` the comments."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to be thought of how often a theme was mentioned, up to and with ``last``.

    Without enough base weeks there is nothing to expect, and no ratio.
    """

    word: Word
    rises: bool
    is_sharp: bool
    last: date
    weeks: int
    """How many weeks were judged together: one, or more where one can tell nothing."""
    mentions: int
    comments: int
    former_mentions: int
    former_comments: int
    former_weeks: int
    expected: float | None = None
    range95: tuple[int, int] | None = None
    ratio: float | None = None
    ci95: Interval | None = None

    @property
    def first(self) -> date:
        """Return the first day of what was judged."""
        return self.last - self.weeks * _WEEK + timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The mentions of a week, and between which numbers they were expected."""

    last: date
    mentions: int
    expected: tuple[int, int] | None


def monday_of(day: date) -> date:
    """Return the first day of the calendar week that a day lies in."""
    return day - timedelta(days=day.weekday())


def latest_week(now: datetime, zone: ZoneInfo) -> date:
    """Return the Monday of the latest week that is over, there and by UTC, and ``SETTLED``."""
    settled = now - SETTLED
    today = min(settled.astimezone(zone).date(), settled.astimezone(UTC).date())
    return monday_of(today) - _WEEK


def first_needed(last: date, *, weeks: int = 1) -> date:
    """Return the first day whose counts ``verdicts_of`` looks at."""
    return last - (max(weeks, WIDER) + BASE_WEEKS) * _WEEK + timedelta(days=1)


def verdicts_of(
    days: Days, families: Mapping[str, str], *, last: date, weeks: int = 1
) -> Mapping[str, Verdict]:
    """Judge every theme of ``families`` in the weeks up to and with ``last``.

    ``families`` names the department of each theme; those of one department are judged
    together. Where a week that doubles would not stand out, ``WIDER`` weeks are judged. Which
    of both it is depends on the past alone.
    """
    found: dict[str, Verdict] = {}
    for family in sorted(set(families.values())):
        themes = sorted(one for one, its in families.items() if its == family)
        found |= _of_family(days, themes, last=last, weeks=weeks)
    return found


def _of_family(
    days: Days, themes: list[str], *, last: date, weeks: int
) -> Mapping[str, Verdict]:
    narrow = _Window(days, themes, last=last, weeks=weeks)
    wide = _Window(days, themes, last=last, weeks=WIDER) if weeks < WIDER else narrow
    chosen = {
        one: wide if wide.can_tell and not narrow.tells(one) else narrow for one in themes
    }
    judged = judge({one: window.case(one) for one, window in chosen.items() if window.can_tell})
    return {one: window.verdict(one, judged.get(one)) for one, window in chosen.items()}


class _Window:
    """Some weeks beside the eight before, for the themes of one department."""

    def __init__(self, days: Days, themes: list[str], *, last: date, weeks: int) -> None:
        self._last, self._weeks = last, weeks
        volumes = _weekly(days.get(EVERY_COMMENT, {}), last, weeks)
        # A week without any comment is one in which nobody was asked: no past to learn from.
        kept = [n for n, volume in enumerate(volumes.base) if volume]
        self._comments = _only(volumes, kept)
        self._themes = {
            one: _only(_weekly(days.get(one, {}), last, weeks), kept) for one in themes
        }
        self._cv2 = variation(list(self._themes.values()), self._comments)

    @property
    def can_tell(self) -> bool:
        """Tell whether there is a past, and a present to compare with it."""
        return len(self._comments.base) >= LEAST_BASE and self._comments.now > 0

    def tells(self, theme: str) -> bool:
        """Tell whether a doubling of this theme would stand out."""
        return self.can_tell and self.case(theme).tells

    def case(self, theme: str) -> Case:
        """Return what there is to judge of a theme."""
        return Case(
            theme=self._themes[theme],
            comments=self._comments,
            cv2=self._cv2,
            weeks=self._weeks,
        )

    def seen(self, theme: str) -> Seen:
        """Return what was said of a theme, and how much was to be expected."""
        return Seen(
            last=self._last,
            mentions=self._themes[theme].now,
            expected=self.case(theme).range95 if self.can_tell else None,
        )

    def verdict(self, theme: str, judged: Judgement | None) -> Verdict:
        """Return what is said of a theme; None was judged for want of a past."""
        counts = self._themes[theme]
        return Verdict(
            word=judged.word if judged else "too_few",
            rises=judged is not None and judged.rises,
            is_sharp=judged is not None and judged.is_sharp,
            last=self._last,
            weeks=self._weeks,
            mentions=counts.now,
            comments=self._comments.now,
            former_mentions=counts.before,
            former_comments=self._comments.before,
            former_weeks=len(counts.base),
            expected=judged.expected if judged else None,
            range95=judged.range95 if judged else None,
            ratio=judged.ratio if judged else None,
            ci95=judged.ci95 if judged else None,
        )


def _weekly(days: Mapping[date, int], last: date, weeks: int) -> Counts:
    now, base = 0, [0] * BASE_WEEKS
    for day, number in days.items():
        ago = (last - day).days // 7
        if 0 <= ago < weeks:
            now += number
        elif weeks <= ago < weeks + BASE_WEEKS:
            base[ago - weeks] += number
    return Counts(now=now, base=tuple(base))


def _only(counts: Counts, kept: list[int]) -> Counts:
    return Counts(now=counts.now, base=tuple(counts.base[n] for n in kept))


def weeks_of(
    days: Days, families: Mapping[str, str], theme: str, *, last: date, weeks: int
) -> Sequence[Seen]:
    """Return so many weeks of one theme up to and with ``last``, the earliest first.

    ``families`` names the department of each theme. A week before which too little is known
    has no range.
    """
    its = families.get(theme, "")
    family = sorted({one for one, other in families.items() if other == its} | {theme})
    return [
        _Window(days, family, last=last - ago * _WEEK, weeks=1).seen(theme)
        for ago in reversed(range(weeks))
    ]
