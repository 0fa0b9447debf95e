"""Asking for something about a person: what there is, a copy of it, or that it be forgotten."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.ingest import store
from services.ingest.domain.persons import Addresses, Named
from services.ingest.handlers.persons.searching import SLICE, Findings, search, subject_of
from shared.identity import audit
from shared.identity.forgetting import refs_of
from shared.identity.person_requests import open_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.ingest.handlers.commands import Ingest
    from services.ingest.store import Presence
    from shared.db.transaction import Transaction
    from shared.identity.person_requests import Kind, PersonRequest
    from shared.identity.principal import Principal

_MOST_LOOKED_AT: Final = 20_000
"""Responses that are opened to answer at once; the request itself opens all."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What there is of a person, without a word of it."""

    persons: Sequence[Presence]
    mentions: Sequence[str]
    complete: bool
    """False where there are more documents than can be opened while somebody waits."""


async def find_person(ingest: Ingest, named: Named, *, by: Principal) -> Found:
    """Say what there is of a person; raise ``NotFound`` for an id that is none of ours."""
    async with ingest.database.reading() as view:
        refs, wanted, by_address = await subject_of(view, ingest, named)
    findings = Findings(refs=dict.fromkeys(refs))
    cursor: str | None = ""
    looked_at = 0
    addresses = Addresses(wanted)
    while addresses and cursor is not None and looked_at < _MOST_LOOKED_AT:
        async with ingest.database.reading() as view:
            more, cursor = await search(
                view, ingest.person_keys, addresses, after=cursor, by_address=by_address
            )
        findings.merge(more)
        looked_at += SLICE
        await asyncio.sleep(0)
    async with ingest.database.transaction() as tx:
        persons = await store.presence_of(tx, list(findings.refs))
        mentions = await others(tx, findings)
        detail = {"found_by": named.by, "persons": len(persons), "mentions": len(mentions)}
        await audit.record(tx, by, "person.searched", "persons", detail, now=ingest.clock.now())
    return Found(persons=persons, mentions=mentions, complete=not addresses or cursor is None)


async def others(tx: Transaction, findings: Findings) -> list[str]:
    """Return the mentions that are not the words of those who were found."""
    theirs = {
        response.id
        for ref in findings.refs
        for response, _ in await store.responses_of(tx, await refs_of(tx, ref))
    }
    return [one for one in findings.mentions if one not in theirs]


async def ask(
    tx: Transaction, ingest: Ingest, kind: Kind, named: Named, *, by: Principal
) -> PersonRequest:
    """Write down that a person is to be exported or erased; a worker does the rest.

    Raises ``NotFound`` for a response or a pseudonym that is none of ours.
    """
    refs, addresses, by_address = await subject_of(tx, ingest, named)
    now = ingest.clock.now()
    request = await open_request(
        tx,
        kind,
        keyring=ingest.keyring,
        asked_by=by.id,
        now=now,
        found_by=named.by,
        subject={"addresses": addresses, "by_address": by_address} if addresses else None,
        found=refs,
    )
    asked = "person.export-asked" if kind == "export" else "person.erasure-asked"
    await audit.record(tx, by, asked, request.id, {"found_by": named.by}, now=now)
    return request
