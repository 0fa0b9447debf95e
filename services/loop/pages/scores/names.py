"""What the groups of scores are called in the reader's language."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from services.loop.journey import store as journey
from services.loop.journey.domain import KINDS, UNKNOWN, ListKind
from services.loop.journey.handlers import names_of
from shared.db.transaction import Reading
from shared.i18n import Reader, marked
from shared.identity.groups import list_departments
from shared.identity.owners import owners
from shared.web.forms import Option

NOT_KNOWN: Final = marked("unknown")


async def group_names(
    view: Reading, group: str, values: Collection[str], reader: Reader
) -> Mapping[str, str]:
    """Return what these values of a group are called; those without a name are their own."""
    found: Mapping[str, str] = {}
    if group == "touchpoint":
        found = await journey.named(view)
    elif (kind := _kind(group)) is not None:
        found = await names_of(view, kind, reader.catalogue)
    elif group == "department":
        found = {part.id: part.name for part in await list_departments(view)}
    elif group == "owner":
        found = {key: owner.name for key, owner in (await owners(view, values)).items()}
    names = {value: found.get(value, value) for value in values}
    if UNKNOWN in names:
        names[UNKNOWN] = reader.gettext(NOT_KNOWN)
    return names


async def options_of(
    view: Reading, group: str, current: str, reader: Reader
) -> Sequence[Option]:
    """Return what a filter offers, by name, and last what senders left out."""
    if group == "touchpoint":
        names = dict(await journey.offered(view))
    elif (kind := _kind(group)) is not None:
        known = await journey.mapped_codes(view, kind)
        names = {
            code.code: code.name_in(reader.catalogue)
            for code in known
            if code.alias_of is None and code.retired_at is None
        }
    else:
        names = {}
    if current and current != UNKNOWN:
        names.setdefault(current, current)
    names.pop(UNKNOWN, None)
    return [
        *sorted(
            (Option(value=value, label=label) for value, label in names.items()),
            key=lambda option: option.label.casefold(),
        ),
        Option(value=UNKNOWN, label=reader.gettext(NOT_KNOWN)),
    ]


def _kind(group: str) -> ListKind | None:
    return next((kind for kind in KINDS if kind == group), None)
