"""``closed-loop audit …``: who did or saw what."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING

from services.commands.output import data_json, rows
from services.commands.people import open_database
from shared.errors import NotFound
from shared.identity import people, trail
from shared.identity.trail import Sought

if TYPE_CHECKING:
    from datetime import datetime

    from shared.db.transaction import Reading


async def list_entries(
    *,
    actor: str | None,
    action: str | None,
    subject: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
) -> int:
    """List lines of the trail, the latest first."""
    async with open_database() as database, database.reading() as view:
        sought = Sought(
            actor=await _actor(view, actor),
            action=action,
            subject=subject,
            since=since.replace(tzinfo=UTC) if since else None,
            until=until.replace(tzinfo=UTC) if until else None,
        )
        found = await trail.entries(view, sought, before=None, limit=limit)
        names = await trail.names_of(view, [entry.actor_id for entry in found])
    if as_json:
        data_json(
            [
                {**vars(entry), "at": entry.at.isoformat(), "actor": names.get(entry.actor_id)}
                for entry in found
            ]
        )
        return 0
    rows(
        ("n", "at", "actor", "action", "subject", "detail"),
        [
            (
                entry.n,
                entry.at.isoformat(timespec="seconds"),
                names.get(entry.actor_id, entry.actor_id),
                entry.action,
                entry.subject,
                json.dumps(entry.detail, ensure_ascii=False) if entry.detail else "",
            )
            for entry in found
        ],
        as_json=False,
    )
    return 0


async def _actor(view: Reading, given: str | None) -> str | None:
    """Return the id of whoever is meant."""
    if given is None or "@" not in given:
        return given
    person = await people.find_staff(view, given)
    if person is None:
        message = "Nobody here has this address. See: closed-loop user list"
        raise NotFound(message)
    return person.id
