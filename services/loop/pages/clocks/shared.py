"""What the pages of calendars and schemes share: versions, and how a refusal is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.loop.journey.store.versions import Shelf
from services.loop.pages.clocks.texts import Unreadable
from shared.db.transaction import Reading
from shared.errors import Conflict, Finding, Invalid, Refused, Stale
from shared.i18n import Reader, marked
from shared.identity.owners import owners
from shared.web.forms import Fields, Form

_SAID: Final[Mapping[str, str]] = {
    "unknown_time_zone": marked(
        "Please choose a time zone that exists, such as Europe/Berlin."
    ),
    "never_open": marked("Please give hours on at least one day."),
    "ends_before_it_starts": marked("These hours end before they start."),
    "shifts_overlap": marked("Please give the hours of a day in order and apart."),
    "unknown_country": marked("Please choose a country."),
    "unknown_region": marked("This country has no region with this code."),
    "unknown_calendar": marked("Please choose a calendar that exists."),
    "calendar_needed": marked("Working time needs a calendar. Please choose one."),
}
_STALE: Final = marked("Somebody changed this meanwhile. Look at it again and repeat.")
_TAKEN: Final = marked("This name is taken already.")
_NOT_READ: Final = marked("This was not understood: %(part)s")


@dataclass(frozen=True, kw_only=True)
class VersionLine:
    """One version of a calendar or a scheme."""

    version: int
    by: str
    at: datetime | None
    applies: bool


async def version_lines(
    view: Reading, shelf: Shelf, document_id: str, reader: Reader
) -> Sequence[VersionLine]:
    """Return all versions, the latest first, with who published them."""
    found = await shelf.versions(view, document_id)
    known = await owners(view, [one.published_by for one in found if one.published_by])
    return [
        VersionLine(
            version=one.version,
            by=_publisher(one.published_by, known, reader),
            at=one.published_at,
            applies=one.version == found[0].version,
        )
        for one in found
    ]


def _publisher(who: str | None, known: Mapping[str, object], reader: Reader) -> str:
    if who is None:
        return reader.gettext("shipped")
    return str(getattr(known.get(who), "name", who))


def refused(
    form: Form, refusal: Refused, reader: Reader, field_of: Callable[[Finding], str]
) -> Form:
    """Return the form as it was sent, with why it was not taken beside each field."""
    if isinstance(refusal, Invalid):
        errors = {
            field_of(one): reader.gettext(_SAID.get(one.code, one.detail))
            for one in refusal.findings
        }
        return Form(name=form.name, values=form.values, errors={**form.errors, **errors})
    if isinstance(refusal, Stale):
        text = reader.gettext(_STALE)
    elif isinstance(refusal, Conflict):
        text = reader.gettext(_TAKEN)
    else:
        raise refusal
    return Form(name=form.name, values=form.values, errors=form.errors, refusal=text)


def not_read(fields: Fields, name: str, error: Unreadable, reader: Reader) -> None:
    """Note which part of a field nobody understood."""
    fields.errors.setdefault(name, reader.gettext(_NOT_READ, part=str(error)[:80]))


def number_of(fields: Fields, name: str, reader: Reader, *, least: float, most: float) -> float:
    """Return a number that must be there, with a comma or a point in it."""
    text = fields.values.get(name, "").replace(",", ".")
    plain = text.replace(".", "", 1)
    value = float(text) if plain.isascii() and plain.isdigit() and len(text) <= 9 else -1.0
    if not least <= value <= most:
        fields.errors.setdefault(
            name,
            reader.gettext(
                "Please give a number from %(least)s to %(most)s.",
                least=f"{least:g}",
                most=f"{most:g}",
            ),
        )
    return value


def whole_of(fields: Fields, name: str, reader: Reader, *, least: int, most: int) -> int:
    """Return a whole number that must be there."""
    value = number_of(fields, name, reader, least=least, most=most)
    if value != int(value):
        fields.errors.setdefault(name, reader.gettext("Please give a whole number."))
    return int(value)
