"""What a sender's value becomes: conversions declared as data, for hooks and files alike.

A conversion says what kind of value is wanted, which values mean that nothing was said, what
the sender's words stand for and on which scale it counts. What does not fit is refused by a
code; nothing here repeats the value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Scalar = str | int | float | bool | None

Kind = Literal["text", "verbatim", "integer", "number", "date", "boolean"]
KINDS: Final[tuple[Kind, ...]] = (
    "text", "verbatim", "integer", "number", "date", "boolean",
)  # fmt: skip

EPOCH: Final = "epoch"
EPOCH_MS: Final = "epoch_ms"
EXCEL: Final = "excel"
"""Days since the end of 1899, as spreadsheets keep dates: 45000.5 is noon of 15 March 2023."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}(?:[.,][0-9]{1,30})?")
_GROUPED: Final = {
    ",": re.compile(r"[+-]?[0-9]{1,3}(?:[.\u00a0\u202f' ][0-9]{3})+(?:,[0-9]{1,30})?"),
    ".": re.compile(r"[+-]?[0-9]{1,3}(?:[,\u00a0\u202f' ][0-9]{3})+(?:\.[0-9]{1,30})?"),
}
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}(?:[.,]0{1,2}|\.0{1,30})?")
_ISO: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,12})?)?)"
    r"(?: ?([Zz]|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?)?"
)
# 1e11 seconds lie in the year 5138, 1e11 milliseconds in 1973.
_MILLISECONDS_FROM: Final = 10**11
_SERIALS_UNTIL: Final = 2_958_466  # the year 10000
_DIRECTIVE: Final = re.compile("%(.?)", re.DOTALL)
_DIRECTIVES: Final = frozenset("aAbBdHIjmMpSfyYzZ%")
_TRUE: Final = frozenset({"true", "yes", "y", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "n", "off", "0"})


class CannotConvert(Exception):
    """A value that its conversion does not foresee; names the rule, not the value."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A linear way from the sender's scale to ours; turned round where one runs backwards."""

    from_: tuple[float, float]
    to: tuple[float, float]

    def __post_init__(self) -> None:
        ends = (*self.from_, *self.to)
        if not all(math.isfinite(end) for end in ends) or self.from_[0] == self.from_[1]:
            message = "a scale has two different ends, both of them numbers"
            raise ValueError(message)

    def between(self, first: Any, last: Any) -> Scale:  # noqa: ANN401 - any JSON value
        """Return the scale whose ends a call itself names; raise ``CannotConvert``."""
        ends = [_read_number(end, None) for end in (first, last)]
        if None in ends or ends[0] == ends[1]:
            raise CannotConvert("not_number", "the ends of the scale are no two numbers")
        low, high = (float(end) for end in ends if end is not None)
        return Scale(from_=(low, high), to=self.to)

    def converted(self, value: Fraction) -> Fraction:
        """Return where the value lies on our scale."""
        first, last = (_exact(end) for end in self.from_)
        if not min(first, last) <= value <= max(first, last):
            raise CannotConvert("out_of_range", "the value lies outside the sender's scale")
        low, high = (_exact(end) for end in self.to)
        return low + (value - first) / (last - first) * (high - low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """How one value is read; without a kind it stays what it is."""

    kind: Kind | None = None
    empty: Sequence[Scalar] = ()
    """Values that mean "no answer", beside null and blank text."""
    map: Mapping[str, Scalar] | None = None
    """What the sender's words stand for; whatever is not in it is refused."""
    default: Scalar = None
    """What counts where nothing was said, or where ``map`` has no entry."""
    scale: Scale | None = None
    formats: Sequence[str] = ()
    """Of dates: ``strptime`` formats, ``epoch``, ``epoch_ms`` or ``excel``; default: ISO 8601,
    or an epoch whose unit shows in its size."""
    at: time = time(12, 0)
    """The time of a date that has none."""
    time_zone: str = "UTC"
    decimal: Literal[".", ","] | None = None
    """The decimal mark; the other signs may then group thousands. Default: either one."""
    _words: Mapping[str, Scalar] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse what could never work; raises ``ValueError`` with a sentence."""
        for form in self.formats:
            check_format(form)
        check_zone(self.time_zone)
        if self.scale is not None and (
            self.map is not None or self.kind not in {None, "integer", "number"}
        ):
            message = "a scale converts numbers, and a map has said what a word stands for"
            raise ValueError(message)
        if self.map is not None:
            words = {_folded(word): value for word, value in self.map.items()}
            object.__setattr__(self, "_words", words)

    def convert(self, raw: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value, or None where nothing was said; raise ``CannotConvert``."""
        if self.says_nothing(raw):
            return self.default
        if self.map is not None:
            return self._looked_up(raw)
        if self.kind is None:
            return raw if self.scale is None else _plain_number(self._number(raw))
        return self._as_kind(raw, self.kind)

    def _as_kind(self, raw: object, kind: Kind) -> str | int | float | bool:
        match kind:
            case "text" | "verbatim":
                return _tidy(_text(raw, ", ")) if kind == "text" else _text(raw, "\n")
            case "integer":
                return self._integer(raw)
            case "number":
                return _plain_number(self._number(raw))
            case "boolean":
                return _boolean(raw)
            case "date":
                return self._date(raw)

    def says_nothing(self, raw: Any) -> bool:  # noqa: ANN401 - any JSON value
        """Tell whether a value means that there is none."""
        if raw is None or raw in ([], {}) or (isinstance(raw, str) and not raw.strip()):
            return True
        return any(_same(raw, one) for one in self.empty)

    def _looked_up(self, raw: object) -> Scalar:
        word = _tidy(_text(raw, ", "))
        assert self.map is not None  # noqa: S101 - whoever looks up has a map
        if word in self.map:
            return self.map[word]
        if (folded := _folded(word)) in self._words:
            return self._words[folded]
        if self.default is None:
            raise CannotConvert("not_in_map", "the value has no entry under map")
        return self.default

    def _number(self, raw: object) -> Fraction:
        number = _read_number(raw, self.decimal)
        if number is None:
            raise CannotConvert("not_number", "the value is no number")
        return number if self.scale is None else self.scale.converted(number)

    def _integer(self, raw: object) -> int:
        if self.scale is not None:
            return math.floor(self._number(raw) + Fraction(1, 2))
        if isinstance(raw, str) and self.decimal is None and not _WHOLE.fullmatch(raw.strip()):
            # Whether 1,000 is one or a thousand nobody can tell.
            raise CannotConvert("not_integer", "the value is no whole number")
        number = _read_number(raw, self.decimal)
        if number is None or number.denominator != 1:
            raise CannotConvert("not_integer", "the value is no whole number")
        return int(number)

    def _date(self, raw: object) -> str:
        """Return RFC 3339 in UTC: the moment as written, or the day at its time of day."""
        try:
            moment = self._moment(raw)
            if moment is not None:
                if moment.tzinfo is None:
                    moment = moment.replace(tzinfo=ZoneInfo(self.time_zone))
                return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except OverflowError:
            raise CannotConvert("out_of_range", "the date lies outside the calendar") from None
        detail = "the value fits none of the formats" if self.formats else "this is no date"
        raise CannotConvert("not_a_date", detail)

    def _moment(self, raw: object) -> datetime | None:
        if isinstance(raw, bool) or not isinstance(raw, str | int | float):
            return None
        text = _tidy(str(raw))
        for form in self.formats:
            if form in _EPOCHS:
                moment = _since(raw, form)
            else:
                moment = self._serial(raw) if form == EXCEL else self._parsed(text, form)
            if moment is not None:
                return moment
        if self.formats:
            return None
        if (number := _read_number(raw, None)) is not None:
            unit = EPOCH_MS if abs(number) >= _MILLISECONDS_FROM else EPOCH
            return _since(raw, unit)
        return self._iso(text)

    def _parsed(self, text: str, form: str) -> datetime | None:
        try:
            moment = datetime.strptime(text, form)  # noqa: DTZ007 - the zone follows
        except ValueError:
            return None
        dated = "%H" not in form and "%I" not in form
        return datetime.combine(moment.date(), self.at) if dated else moment

    def _serial(self, raw: object) -> datetime | None:
        """Read a spreadsheet's number of days: where it stood, hence without an offset."""
        number = _read_number(raw, None)
        if number is None or not 0 < number < _SERIALS_UNTIL:
            return None
        day = datetime(1899, 12, 30) + timedelta(days=int(number))  # noqa: DTZ001 - local
        if number.denominator == 1:
            return datetime.combine(day.date(), self.at)
        return day + timedelta(seconds=round((number - int(number)) * 86_400))

    def _iso(self, text: str) -> datetime | None:
        match = _ISO.fullmatch(text)
        if match is None:
            return None
        day, clock, offset = match.groups()
        try:
            if clock is None:
                return datetime.combine(datetime.fromisoformat(day).date(), self.at)
            offset = "+00:00" if offset and offset[0] not in "+-" else offset or ""
            return datetime.fromisoformat(f"{day}T{clock.replace(',', '.')}{offset}")
        except ValueError:
            return None


_EPOCHS: Final = {EPOCH: 1, EPOCH_MS: 1_000}


def check_format(form: str) -> None:
    """Raise ``ValueError`` unless dates could be read by this format."""
    if form in _EPOCHS or form == EXCEL:
        return
    named = _DIRECTIVE.findall(form)
    known = [name for name in named if name != "%"]
    if not known or not _DIRECTIVES.issuperset(named) or len(set(known)) != len(known):
        message = (
            "a format of dates is “epoch”, “epoch_ms”, “excel” or made of directives such as"
            " %d.%m.%Y, each of them once"
        )
        raise ValueError(message)


def check_zone(name: str) -> None:
    """Raise ``ValueError`` unless this is a time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = "is no known time zone (write for example Europe/London)"
        raise ValueError(message) from None


def _since(raw: object, unit: str) -> datetime | None:
    number = _read_number(raw, None)
    if number is None:
        return None
    seconds = number / _EPOCHS[unit]
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        seconds=int(seconds), microseconds=int((seconds - int(seconds)) * 1_000_000)
    )


def _read_number(raw: object, decimal: str | None) -> Fraction | None:
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int | float):
        return _exact(raw) if math.isfinite(raw) else None
    if not isinstance(raw, str):
        return None
    text = raw.strip()
    if decimal is not None and _GROUPED[decimal].fullmatch(text):
        text = "".join(sign for sign in text if sign.isdigit() or sign in f"+-{decimal}")
    if not _NUMBER.fullmatch(text):
        return None
    if decimal is not None and (".,".replace(decimal, "")) in text:
        return None
    return Fraction(text.replace(",", "."))


def _exact(number: float) -> Fraction:
    """Return a number as it is written: 0.1 is a tenth here."""
    return Fraction(str(number))


def _plain_number(number: Fraction) -> int | float:
    return int(number) if number.denominator == 1 else float(number)


def _text(raw: object, between: str) -> str:
    """Return a value as text; of a list, its texts."""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, float) and raw.is_integer():
        return str(int(raw))
    if isinstance(raw, int | float):
        return str(raw)
    if isinstance(raw, list) and not any(isinstance(one, dict | list) for one in raw):
        return between.join(_text(one, between) for one in raw if one not in (None, ""))
    raise CannotConvert("not_text", "the value is no text")


def _boolean(raw: object) -> bool:
    word = _text(raw, ", ").strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise CannotConvert("not_boolean", "the value is neither true nor false")


def _tidy(text: str) -> str:
    """Fold every run of white space, hard spaces included, into one blank."""
    return " ".join(text.split())


def _folded(word: str) -> str:
    return _tidy(word).casefold()


def _same(raw: object, empty: Scalar) -> bool:
    """Tell whether a value is the one that means nothing; "0" is the number 0 here."""
    if isinstance(raw, bool) or isinstance(empty, bool):
        return isinstance(raw, bool) and isinstance(empty, bool) and raw == empty
    if isinstance(empty, int | float):
        return _read_number(raw, None) == _exact(empty)
    if not isinstance(empty, str) or not isinstance(raw, str | int | float):
        return False
    return _tidy(_text(raw, "")) == _tidy(empty)
