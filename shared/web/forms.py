"""Posted forms: read once, kept while they are wrong, answered with what to correct.

A form that cannot be taken is shown again with status 422, every value as it was typed, and a
summary that leads to each field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from shared.errors import TooLarge, Unreadable, UnsupportedType
from shared.web.query import whole_number

if TYPE_CHECKING:
    from starlette.requests import Request

    from shared.i18n import Reader

MOST_BYTES: Final = 256_000
_MOST_FIELDS: Final = 300
"""A page of two hundred tasks, each chosen, and what is to be done to them."""
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True)
class Option:
    """One thing to choose: what is sent and what is read."""

    value: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Form:
    """What stands in a form's fields, and what is wrong with it."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    errors: Mapping[str, str] = field(default_factory=dict)
    refusal: str = ""
    """Why the whole was not taken, where no single field is at fault."""

    def value(self, name: str) -> str:
        """Return what stands in a field."""
        return self.values.get(name, "")

    def error(self, name: str) -> str:
        """Return what is wrong with a field, or nothing."""
        return self.errors.get(name, "")


async def read_form(request: Request, *, as_typed: Collection[str] = ()) -> dict[str, str]:
    """Return the fields of a posted form; the last one wins where a name stands there twice.

    Line ends become newlines and blanks around a value go, but for fields that are taken
    ``as_typed``, such as passwords. Raises for what no browser sends: other content types,
    bytes that are no UTF-8, control characters, too much.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise UnsupportedType(f"Send the form as {_FORM}.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise TooLarge("The form is larger than 256 kB. Shorten the longest text.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise Unreadable("The form cannot be read. Open the page again and repeat.") from None
    fields = {
        name: value
        if name in as_typed
        else value.replace("\r\n", "\n").replace("\r", "\n").strip()
        for name, value in pairs
    }
    if any("\x00" in value for value in fields.values()):
        raise Unreadable("The form holds a character that no text has (NUL). Remove it.")
    return fields


class Fields:
    """Takes the fields of a form one by one and notes what is wrong with them."""

    def __init__(self, values: Mapping[str, str], reader: Reader) -> None:
        self.values = values
        self.errors: dict[str, str] = {}
        self._reader = reader

    def text(self, name: str, *, most: int) -> str:
        """Return a text that must be there."""
        found = self.optional(name, most=most)
        if found is None:
            self.errors.setdefault(name, self._reader.gettext("Please fill in this field."))
            return ""
        return found

    def optional(self, name: str, *, most: int) -> str | None:
        """Return a text, or None where there is none."""
        found = self.values.get(name) or None
        if found is not None and len(found) > most:
            self.errors[name] = self._reader.ngettext(
                "Please shorten this to %(n)s character.",
                "Please shorten this to %(n)s characters.",
                most,
            )
        return found

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """Return one of the allowed values."""
        found = self.values.get(name, "")
        if found not in allowed:
            self.errors[name] = self._reader.gettext("Please choose one.")
        return found

    def whole(self, name: str) -> int | None:
        """Return a whole number, or None where there is none."""
        return whole_number(self.values.get(name, ""), digits=9)

    def moment(self, name: str, *, required: bool = False) -> datetime | None:
        """Return a moment that was given on the reader's own clock, in UTC."""
        found = self.values.get(name, "")
        if not found:
            if required:
                self.errors[name] = self._reader.gettext("Please give a day and a time.")
            return None
        try:
            local = datetime.fromisoformat(found)
        except ValueError:
            local = None
        if local is None or local.tzinfo is not None or not 2000 <= local.year <= 2200:
            self.errors[name] = self._reader.gettext(
                "Please give day and time like 2026-03-31T14:30."
            )
            return None
        return local.replace(tzinfo=self._reader.zone).astimezone(UTC)

    def wrong(self, name: str, text: str, **values: object) -> None:
        """Note what is wrong with a field; the text is translated and filled in here."""
        self.errors.setdefault(name, self._reader.gettext(text, **values))

    def form(self, name: str, refusal: str = "") -> Form:
        """Return the form as it was sent, with what is wrong."""
        return Form(name=name, values=self.values, errors=self.errors, refusal=refusal)
