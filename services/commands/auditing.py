"""``closed-loop audit …``: who did or saw what, and whether the trail is whole."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING

from services.commands.output import data_json, rows, say
from services.commands.people import open_database
from shared.clock import SystemClock
from shared.errors import NotFound
from shared.identity import people, trail
from shared.identity.audit_proof import prove
from shared.identity.secret import load_secret, verify_secret
from shared.identity.trail import Sought
from shared.settings import Settings

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


async def verify_trail(*, head: str | None, as_json: bool) -> int:
    """Recount the trail, say what is wrong with it, and return 1 if anything is."""
    settings = Settings.load()
    keyring = load_secret(settings)
    async with open_database() as database:
        async with database.transaction() as tx:
            # Opens the keys that outlive the secret: old seals are proved by those.
            await verify_secret(tx, keyring, SystemClock().now(), adopt=False)
        async with database.reading() as view:
            proof = await prove(view, keyring, head=head)
    if as_json:
        findings = [vars(one) for one in proof.findings]
        data_json({**vars(proof), "whole": proof.is_whole, "findings": findings})
    else:
        rows(
            ("what", "line", "detail"),
            [(one.what, one.line, one.detail) for one in proof.findings],
            as_json=False,
        )
    say(
        f"{proof.sealed} lines are as they were sealed, {proof.unsealed} too young to be"
        f" sealed. Head: {proof.head or 'none yet'}"
    )
    say("The trail is whole." if proof.is_whole else f"{len(proof.findings)} findings.")
    return 0 if proof.is_whole else 1


async def _actor(view: Reading, given: str | None) -> str | None:
    """Return the id of whoever is meant."""
    if given is None or "@" not in given:
        return given
    person = await people.find_staff(view, given)
    if person is None:
        message = "Nobody here has this address. See: closed-loop user list"
        raise NotFound(message)
    return person.id
