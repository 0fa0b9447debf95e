"""Hours, days and remedies as people type them into a form, and as JSON keeps them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from shared.web.query import whole_number

Shifts = Sequence[Mapping[str, str]]

_TIME: Final = r"([01]?[0-9]|2[0-4])(?:[:.]([0-5][0-9]))?"
_SHIFT: Final = re.compile(rf"\s*{_TIME}\s*[-\u2013\u2014]\s*{_TIME}\s*")
_DAY: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[\s:]+(.+)")
_REMEDY: Final = re.compile(r"(.+?)\s*=\s*(\d{1,7}(?:[.,]\d{1,2})?)\s*([A-Za-z]{3})")
_CLOSED: Final = {"closed", "-"}


class Unreadable(ValueError):
    """A text is not what its field asks for; the message is the part that nobody understood."""


def shifts_of(text: str) -> list[dict[str, str]]:
    """Read ``9:00-12:00, 13-17:30``; nothing is a day without a shift."""
    found = []
    for part in re.split(r"[,;]", text) if text.strip() else ():
        match = _SHIFT.fullmatch(part)
        if match is None:
            raise Unreadable(part.strip())
        hours = [_clock(match[1], match[2]), _clock(match[3], match[4])]
        found.append({"start": hours[0], "end": hours[1]})
    return found


def shifts_text(shifts: Shifts) -> str:
    """Return shifts as ``shifts_of`` reads them."""
    return ", ".join(
        f"{one['start']}-{one['end'] if one['end'] != '00:00' else '24:00'}" for one in shifts
    )


def days_of(text: str, closed: str) -> tuple[list[str], dict[str, list[dict[str, str]]]]:
    """Read a line per day, with its hours or the reader's word for ``closed``.

    Returns the days that are closed, and those with hours of their own.
    """
    shut, special = [], {}
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _DAY.fullmatch(line)
        try:
            day = date.fromisoformat(match[1]).isoformat() if match else ""
        except ValueError:
            day = ""
        if match is None or not day:
            raise Unreadable(line)
        if match[2].strip().casefold() in {*_CLOSED, closed.casefold()}:
            shut.append(day)
        else:
            special[day] = shifts_of(match[2])
    return sorted(shut), special


def days_text(document: Mapping[str, Any], closed: str) -> str:
    """Return the days of a calendar as ``days_of`` reads them, in order."""
    lines = dict.fromkeys(document["closed"], closed)
    lines |= {day: shifts_text(shifts) or closed for day, shifts in document["special"].items()}
    return "\n".join(f"{day} {lines[day]}" for day in sorted(lines))


def remedies_of(text: str, known: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Read a line per remedy: ``Voucher = 30 EUR``, or a name alone for one in kind.

    A remedy that is ``known`` by its name keeps its id.
    """
    ids = {one["name"]: one["id"] for one in known}
    found: list[dict[str, Any]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _REMEDY.fullmatch(line)
        name, limit = line, None
        if match is not None:
            amount = float(match[2].replace(",", "."))
            name, limit = match[1], {"amount": amount, "currency": match[3].upper()}
        elif "=" in line:
            raise Unreadable(line)
        taken = {one["id"] for one in found}
        found.append(
            {
                "id": ids.get(name) or free_id(name, taken | set(ids.values())),
                "name": name,
                "kind": "kind" if limit is None else "money",
                "limit": limit,
            }
        )
    return found


def remedies_text(remedies: Iterable[Mapping[str, Any]]) -> str:
    """Return remedies as ``remedies_of`` reads them; without a limit money needs approval."""
    return "\n".join(
        one["name"]
        if one["kind"] == "kind" and one["limit"] is None
        else f"{one['name']} = {_limit(one['limit'])}"
        for one in remedies
    )


def percents_of(text: str) -> list[float]:
    """Read ``50, 80`` as parts of a whole."""
    found = []
    for part in re.split(r"[,;\s]+", text.replace("%", " ").strip()) if text.strip() else ():
        percent = whole_number(part, digits=4)
        if percent is None:
            raise Unreadable(part)
        found.append(percent / 100)
    return found


def percents_text(parts: Iterable[float]) -> str:
    """Return parts of a whole as ``percents_of`` reads them."""
    return ", ".join(f"{part * 100:g}" for part in parts)


def lines_of(text: str) -> list[str]:
    """Return what stands on the lines of a text, without empty ones."""
    return [line for line in map(str.strip, text.splitlines()) if line]


def free_id(name: str, taken: Iterable[str]) -> str:
    """Return an id that is made of a name and that nothing else has."""
    used = set(taken)
    plain = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:30] or "one"
    tries = [plain, *(f"{plain}-{n}" for n in range(2, len(used) + 3))]
    return next(one for one in tries if one not in used)


def _clock(hour: str, minute: str | None) -> str:
    if hour == "24":
        if minute not in {None, "00"}:
            raise Unreadable(f"{hour}:{minute}")
        return "00:00"
    return f"{int(hour):02}:{minute or '00'}"


def _limit(limit: Mapping[str, Any] | None) -> str:
    return f"{limit['amount']:g} {limit['currency']}" if limit else "0 EUR"
