"""What people read, in their language: catalogues, dates, times, numbers, spans of time.

Pages and mails use the same catalogues, ``shared/locale/<language>/LC_MESSAGES``, which are
read as text when they are first needed; nothing is compiled or built. English is the source.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, format_time
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.support import Translations
from babel.units import format_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

DOMAIN: Final = "closed_loop"
SOURCE: Final = "en"
LANGUAGES: Final = ("en", "de")
"""The languages with a catalogue; the first is what everybody gets who reads none of them."""
LANGUAGE_NAMES: Final = {"en": "English", "de": "Deutsch"}
"""What each language calls itself."""

_MINUS: Final = "\N{MINUS SIGN}"
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)


def marked(text: str) -> str:
    """Return ``text`` unchanged; it is collected for the catalogues and translated later."""
    return text


def supported(tag: str | None) -> str | None:
    """Return the catalogue for a BCP 47 tag such as ``de-AT``; None when there is none."""
    primary = (tag or "").replace("_", "-").partition("-")[0].strip().lower()
    return primary if primary in LANGUAGES else None


def accepted(header: str | None) -> str:
    """Return the tag of an ``Accept-Language`` header that we can serve best, else English."""
    wanted: list[tuple[float, int, str]] = []
    for index, part in enumerate((header or "")[:500].split(",")):
        tag, _, rest = part.strip().partition(";")
        try:
            weight = float(rest.replace(" ", "").removeprefix("q=")) if rest else 1.0
        except ValueError:
            weight = 0.0
        if supported(tag) and weight > 0:
            wanted.append((-weight, index, tag))
    return min(wanted)[2] if wanted else SOURCE


@cache
def translations(language: str) -> Translations:
    """Return the messages of a language, with its plural forms; English for unknown ones."""
    chosen = supported(language) or SOURCE
    source = files("shared") / "locale" / chosen / "LC_MESSAGES" / f"{DOMAIN}.po"
    if not source.is_file():
        return Translations()
    catalogue = read_po(StringIO(source.read_text("utf-8")), locale=chosen, domain=DOMAIN)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(fp=compiled, domain=DOMAIN)


@cache
def _locale(tag: str) -> Locale:
    """Return how a tag writes dates and numbers; plain English has a 24-hour clock."""
    if tag.lower() == SOURCE:
        return Locale.parse("en_GB")
    try:
        return Locale.parse(tag.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale.parse(supported(tag) or "en_GB")


def zones() -> Sequence[str]:
    """Return the time zones to choose from."""
    return sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Somebody who reads: their language, their time zone, and everything said in both."""

    language: str = SOURCE
    time_zone: str = "UTC"

    @property
    def catalogue(self) -> str:
        """Return the language of the words: the one of the catalogue in use."""
        return supported(self.language) or SOURCE

    @property
    def zone(self) -> ZoneInfo:
        """Return the reader's time zone; UTC for a name that is none."""
        return _zone(self.time_zone)

    def gettext(self, text: str, /, **values: object) -> str:
        """Return ``text`` in the reader's language, with ``%(name)s`` filled in."""
        found = translations(self.catalogue).gettext(text)
        return found % values if values else found

    def ngettext(self, one: str, many: str, n: int, /, **values: object) -> str:
        """Return the form that fits ``n``, with ``%(n)s`` and other names filled in."""
        return translations(self.catalogue).ngettext(one, many, n) % {"n": n, **values}

    def local(self, moment: datetime) -> datetime:
        """Return the moment on the reader's own clock; at the calendar's ends, in UTC."""
        try:
            return moment.astimezone(self.zone)
        except OverflowError:
            return moment.astimezone(UTC)

    def date(self, day: dt.date) -> str:
        """Return a day with its year: 22 Nov 2026."""
        if isinstance(day, datetime):
            day = self.local(day).date()
        return format_date(day, "medium", locale=_locale(self.language))

    def day(self, day: dt.date) -> str:
        """Return a day without its year: 22 Nov."""
        if isinstance(day, datetime):
            day = self.local(day).date()
        return format_skeleton(
            "MMMd",
            datetime(day.year, day.month, day.day, tzinfo=UTC),
            locale=_locale(self.language),
        )

    def time(self, moment: datetime) -> str:
        """Return a time of day: 09:41."""
        clock = self.local(moment).time()
        return format_time(clock, "short", locale=_locale(self.language))

    def moment(self, moment: datetime) -> str:
        """Return day and time: 22 Nov 2026, 09:41."""
        return f"{self.date(moment)}, {self.time(moment)}"

    def soon(self, moment: datetime, *, now: datetime) -> str:
        """Return the shortest clear form: 09:41 today, Tue 09:41 this week, else 22 Nov."""
        then, today = self.local(moment).date(), self.local(now).date()
        if then == today:
            return self.time(moment)
        if abs(then - today) < _WEEK:
            weekday = format_skeleton(
                "E", self.local(moment), tzinfo=self.zone, locale=_locale(self.language)
            )
            return f"{weekday} {self.time(moment)}"
        return f"{self.day(moment)}, {self.time(moment)}"

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number: 7,908."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(value, pattern, locale=_locale(self.language))

    def signed(self, value: float, digits: int = 0) -> str:
        """Return a number with its sign, and a true minus: +12, 0."""
        text = self.number(abs(value), digits)
        if text == self.number(0, digits):
            return text
        return f"{'+' if value > 0 else _MINUS}{text}"

    def percent(self, share: float) -> str:
        """Return a share of one in whole per cent: 14 %."""
        return format_percent(share, locale=_locale(self.language))

    def span(self, span: timedelta) -> str:
        """Return a length of time in at most two units: 2 hrs 10 mins, 3 days."""
        span = abs(span)
        if span < _HOUR:
            parts = [(max(span // _MINUTE, 1), "minute")]
        elif span < _DAY:
            parts = [(span // _HOUR, "hour"), (span % _HOUR // _MINUTE, "minute")]
        elif span < _WEEK:
            parts = [(span // _DAY, "day"), (span % _DAY // _HOUR, "hour")]
        else:
            parts = [(span // _DAY, "day")]
        return " ".join(
            format_unit(n, f"duration-{unit}", "short", locale=_locale(self.language))
            for n, unit in parts
            if n
        )

    def listed(self, texts: Sequence[str]) -> str:
        """Return an enumeration: a, b and c."""
        return format_list(list(texts), locale=_locale(self.language))
