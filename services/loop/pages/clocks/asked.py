"""The ten questions of a scheme as fields of a form, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from services.loop.pages.clocks.shared import not_read, number_of, whole_of
from services.loop.pages.clocks.texts import (
    Shifts,
    Unreadable,
    lines_of,
    percents_of,
    percents_text,
    remedies_of,
    remedies_text,
    shifts_of,
    shifts_text,
)
from services.loop.pages.labels import LANGUAGES, MODES
from services.loop.tasks.domain.schemes import Level
from shared.i18n import Reader
from shared.web.forms import Fields, Form

T = TypeVar("T")
_STATES: Final = ("waiting_customer", "waiting_internal")
_LEVELS: Final[tuple[Level, ...]] = ("lead", "head")
_MOST_TEXTS: Final = 20
_PROPOSED: Final[Mapping[str, str]] = {
    "first_contact_within_hours": "8",
    "resolve_within_hours": "24",
    "clock": "customer",
    "reminders": "50, 80",
    "lead": "100",
    "head": "150",
    "waiting_customer": "yes",
    "attempts": "3",
    "attempt_days": "2",
    "attempt_channels": "2",
    "ask_after_hours": "0",
    "silent_days": "14",
    "saved_within_days": "90",
}
"""What stands in the form of a new scheme: our choice, for the reader to change."""


def form_of(document: Mapping[str, Any] | None) -> Form:
    """Return the form of a scheme, in its fuller form; of a new one with our proposals."""
    if document is None:
        return Form(name="scheme", values=_PROPOSED)
    attempts, ask = document["attempts"], document["ask_customer"]
    quiet = attempts["quiet_hours"]
    yes = {
        **{state: state in document["pauses_in"] for state in _STATES},
        "night": document["night"],
        "share_practice": document["share_practice"],
    }
    return Form(
        name="scheme",
        values={
            "name": document["name"],
            "first_contact_within_hours": f"{document['first_contact_within_hours']:g}",
            "resolve_within_hours": f"{document['resolve_within_hours']:g}",
            "clock": document["clock"],
            "calendar": document["calendar"] or "",
            "reminders": percents_text(document["reminders"]),
            **{level: _escalated(document, level) for level in _LEVELS},
            **{name: "yes" for name, is_so in yes.items() if is_so},
            "mode": document["mode"] or "",
            **{f"guide_{one}": text for one, text in document["talk_guide"].items()},
            "remedies": remedies_text(document["remedies"]),
            "needs": "\n".join(document["needs"]),
            "intended": "\n".join(document["intended"]),
            "attempts": str(attempts["number"]),
            "attempt_days": str(attempts["days"]),
            "attempt_channels": str(attempts["channels"]),
            "quiet_hours": f"{quiet['from']}-{quiet['to']}" if quiet else "",
            "ask_after_hours": f"{ask['after_hours']:g}",
            "silent_days": str(ask["silent_days"]),
            "saved_within_days": str(document["saved_within_days"]),
        },
    )


def scheme_document(
    fields: Fields, reader: Reader, former: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what the form says, noting what is wrong with its fields.

    ``former`` is the version before it: remedies keep their ids, and what no field of the form
    asks for stays.
    """
    known = former or {"remedies": [], "talk_guide": {}}
    read = _Texts(fields, reader)
    guide = {
        **known["talk_guide"],
        **{one: fields.optional(f"guide_{one}", most=5_000) for one in LANGUAGES},
    }
    hours = {
        name: number_of(fields, name, reader, least=0.1, most=8_760)
        for name in ("first_contact_within_hours", "resolve_within_hours")
    }
    return {
        "name": fields.text("name", most=200),
        **hours,
        "clock": fields.choice("clock", ["customer", "team"]),
        "calendar": fields.optional("calendar", most=40),
        "reminders": _shares(read, "reminders", below=1),
        "escalations": [
            {"at": share, "to": level}
            for level in _LEVELS
            for share in _shares(read, level, below=10)
        ],
        "pauses_in": [state for state in _STATES if fields.values.get(state) == "yes"],
        "night": fields.values.get("night") == "yes",
        "mode": fields.values.get("mode") if fields.values.get("mode") in MODES else None,
        "talk_guide": {one: text for one, text in guide.items() if text},
        "remedies": read.by("remedies", lambda text: remedies_of(text, known["remedies"])),
        "needs": read.by("needs", _texts),
        "intended": read.by("intended", _texts),
        "attempts": {
            "number": whole_of(fields, "attempts", reader, least=1, most=20),
            "days": whole_of(fields, "attempt_days", reader, least=1, most=20),
            "channels": whole_of(fields, "attempt_channels", reader, least=1, most=4),
            "quiet_hours": read.by("quiet_hours", _quiet),
        },
        "ask_customer": {
            "after_hours": number_of(fields, "ask_after_hours", reader, least=0, most=2_160),
            "silent_days": whole_of(fields, "silent_days", reader, least=1, most=90),
        },
        "saved_within_days": whole_of(fields, "saved_within_days", reader, least=1, most=730),
        "share_practice": fields.values.get("share_practice") == "yes",
    }


class _Texts:
    """Reads texts that have a form of their own, and notes those that nobody understood."""

    def __init__(self, fields: Fields, reader: Reader) -> None:
        self._fields = fields
        self._reader = reader

    def by(self, name: str, read: Callable[[str], T]) -> T:
        text = self._fields.optional(name, most=5_000) or ""
        try:
            return read(text)
        except Unreadable as error:
            not_read(self._fields, name, error, self._reader)
            return read("")


def _shares(read: _Texts, name: str, *, below: float) -> list[float]:
    def shares(text: str) -> list[float]:
        found = percents_of(text)
        for part in found:
            if not 0 < part < below or len(found) > (5 if name == "reminders" else 1):
                raise Unreadable(text)
        return sorted(found)

    return read.by(name, shares)


def _texts(text: str) -> list[str]:
    found = lines_of(text)
    for line in found:
        if len(line) > 200 or len(found) > _MOST_TEXTS:
            raise Unreadable(line)
    return found


def _quiet(text: str) -> dict[str, str] | None:
    found: Shifts = shifts_of(text)
    if not found:
        return None
    if len(found) > 1:
        raise Unreadable(shifts_text(found))
    return {"from": found[0]["start"], "to": found[0]["end"]}


def _escalated(document: Mapping[str, Any], level: Level) -> str:
    return percents_text(one["at"] for one in document["escalations"] if one["to"] == level)
