"""Working a request off: the search in slices, then person by person, resumable anywhere.

Every step is one transaction that looks again where the request stands, so that a killed
process, or two that work at once, neither skip nor repeat anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from services.ingest import store
from services.ingest.domain.persons import Addresses
from services.ingest.handlers.persons.asking import others
from services.ingest.handlers.persons.exporting import hand_out
from services.ingest.handlers.persons.forgetting import forget
from services.ingest.handlers.persons.retention import expire
from services.ingest.handlers.persons.searching import Findings, search
from shared.faults import fault_point
from shared.identity.person_requests import (
    finish_if_complete,
    get_request,
    next_request,
    note_search,
    note_worked,
    record_part,
)

if TYPE_CHECKING:
    from services.ingest.handlers.commands import Ingest
    from shared.identity.person_requests import PersonRequest

ARCHIVES_KEPT: Final = timedelta(days=7)
"""So long a copy of somebody's data can be fetched."""


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """What a slice of a search brought."""

    findings: Findings
    cursor: str | None
    samples: list[str]


async def work_requests(ingest: Ingest) -> bool:
    """Do the next step of the oldest request; return whether there was one."""
    async with ingest.database.reading() as view:
        request = await next_request(view)
    if request is None:
        return False
    if request.state == "searching":
        await _search_on(ingest, request)
    else:
        await _work_on(ingest, request)
    return True


async def _search_on(ingest: Ingest, request: PersonRequest) -> None:
    subject = request.subject(ingest.keyring)
    addresses = Addresses(subject["addresses"])
    async with ingest.database.reading() as view:
        more, cursor = await search(
            view,
            ingest.person_keys,
            addresses,
            after=request.cursor or "",
            by_address=subject["by_address"],
        )
    samples: list[str] = []
    if cursor is None and request.kind == "erasure":
        async with ingest.database.reading() as view:
            samples = await store.payloads_where(
                view, addresses.stand_in, keyring=ingest.keyring
            )
    looked = _Looked(findings=more, cursor=cursor, samples=samples)
    await _note(ingest, request, looked)


async def _note(ingest: Ingest, request: PersonRequest, looked: _Looked) -> None:
    """Write down what a slice brought, unless somebody else did."""
    async with ingest.database.transaction() as tx:
        here = await get_request(tx, request.id, locked=True)
        if (here.state, here.cursor) != (request.state, request.cursor):
            return
        findings = Findings(
            refs=dict.fromkeys(here.found), mentions=dict.fromkeys(here.mentions)
        )
        findings.merge(looked.findings)
        mentions = list(findings.mentions)
        if looked.cursor is None:
            mentions = await others(tx, findings)
        await note_search(
            tx, here, found=list(findings.refs), mentions=mentions, cursor=looked.cursor
        )
        if looked.samples:
            dropped = await store.drop_payloads(tx, looked.samples)
            await record_part(
                tx,
                here.id,
                "ingest",
                counts={"payloads": dropped},
                now=ingest.clock.now(),
                persons=0,
            )
        fault_point("persons.searched")


async def _work_on(ingest: Ingest, request: PersonRequest) -> None:
    """Do ingest's part for the next person; the others hear of it and do theirs."""
    async with ingest.database.transaction() as tx:
        here = await get_request(tx, request.id, locked=True)
        if here.state != "working" or here.cursor != request.cursor:
            return
        now, done = ingest.clock.now(), int(here.cursor or 0)
        if done < here.persons:
            ref = here.found[done]
            if here.reason == "retention":
                await expire(tx, ingest, here.id, ref, now=now)
            elif here.kind == "erasure":
                await forget(tx, ingest, here.id, ref, reason=here.reason, now=now)
            else:
                await hand_out(tx, ingest, here.id, ref, now=now)
            done += 1
        await note_worked(tx, here, done=done)
        if not here.persons:
            await finish_if_complete(tx, here.id, now=now)
        fault_point("persons.worked")
