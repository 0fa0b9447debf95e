"""What was asked for about persons, and what each service did for it.

A request is done once every service has said of every person that it did its part; whoever
completes it writes the certificate. It counts and dates, and names nobody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import and_, or_, select, update

from shared.bus.ports import LOG_KEPT
from shared.errors import NotFound
from shared.identity.tables import person_request_parts as parts
from shared.identity.tables import person_requests as requests
from shared.ids import new_id
from shared.sealing import CannotOpen, open_document, seal_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from shared.db.transaction import Reading, Transaction
    from shared.identity.person_keys import PersonKeys
    from shared.sealing import Keyring

Kind = Literal["export", "erasure"]
Reason = Literal["request", "retention"]
State = Literal["searching", "working", "done"]
Serving = Literal["ingest", "loop", "notify"]

SERVICES: Final[tuple[Serving, ...]] = ("ingest", "loop", "notify")
REMAINS: Final = ("score", "times", "touchpoint", "themes")
"""What is kept of an erased person's responses: it counts, and tells nobody's name."""

_PURPOSE: Final = "person-requests"


@dataclass(frozen=True, kw_only=True)
class PersonRequest:
    """One request as it stands."""

    id: str
    kind: Kind
    reason: Reason
    state: State
    asked_at: datetime
    asked_by: str
    found_by: str | None = None
    found: Sequence[str] = ()
    """Whom it is about, as pseudonyms; forgotten when it is done."""
    mentions: Sequence[str] = ()
    """Responses of others that seem to name the person: for somebody to look at."""
    persons: int = 0
    cursor: str | None = None
    done_at: datetime | None = None
    certificate: Mapping[str, Any] | None = None
    sealed_subject: bytes | None = field(default=None, repr=False)

    def subject(self, keyring: Keyring) -> dict[str, Any]:
        """Return by what the person was named, as long as the request is not done."""
        if self.sealed_subject is None:
            return {}
        said: dict[str, Any] = json.loads(
            keyring.open(_PURPOSE, self.sealed_subject, context=self.id)
        )
        return said


async def open_request(
    tx: Transaction,
    kind: Kind,
    *,
    keyring: Keyring,
    asked_by: str,
    now: datetime,
    reason: Reason = "request",
    found_by: str | None = None,
    subject: Mapping[str, Any] | None = None,
    found: Sequence[str] = (),
) -> PersonRequest:
    """Write a request down; ``subject`` is what is still to be searched for.

    Without one nothing is searched: it is about those who were found already.
    """
    request_id = new_id("prq")
    said = None if subject is None else json.dumps(subject, sort_keys=True)
    await tx.execute(
        tx.insert(requests).values(
            id=request_id,
            kind=kind,
            reason=reason,
            state="working" if said is None else "searching",
            asked_at=now,
            asked_by=asked_by,
            found_by=found_by,
            sealed_subject=said and keyring.seal(_PURPOSE, said.encode(), context=request_id),
            subject_digest=said and keyring.mac(_PURPOSE, said),
            found=list(found),
            mentions=[],
            persons=len(found),
            cursor="" if said is not None else "0",
        )
    )
    return await get_request(tx, request_id)


async def get_request(view: Reading, request_id: str, *, locked: bool = False) -> PersonRequest:
    """Return one request, locked until the commit if asked for; raise ``NotFound``."""
    query = select(requests).where(requests.c.id == request_id)
    row = await view.first(query.with_for_update() if locked else query)
    if row is None:
        raise NotFound("There is no such request.")
    return _request(row)


async def list_requests(
    view: Reading,
    *,
    limit: int,
    before: str | None = None,
    kind: Kind | None = None,
    state: State | None = None,
    reason: Reason | None = None,
) -> list[PersonRequest]:
    """Return requests, the latest first; ``before`` is the id of the last one seen."""
    query = select(requests).order_by(requests.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(requests.c.id < before)
    for column, wanted in (
        (requests.c.kind, kind),
        (requests.c.state, state),
        (requests.c.reason, reason),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    return [_request(row) for row in await view.all(query)]


async def next_request(view: Reading) -> PersonRequest | None:
    """Return the oldest request of which the part of ingest is not done, or None."""
    row = await view.first(
        select(requests)
        .where(
            or_(
                requests.c.state == "searching",
                and_(requests.c.state == "working", requests.c.cursor.is_not(None)),
            )
        )
        .order_by(requests.c.id)
        .limit(1)
    )
    return None if row is None else _request(row)


async def note_search(
    tx: Transaction,
    request: PersonRequest,
    *,
    found: Sequence[str],
    mentions: Sequence[str],
    cursor: str | None,
) -> None:
    """Write how far a search is; ``cursor=None`` ends it, and the work on the found begins."""
    values: dict[str, Any] = {"found": list(found), "mentions": list(mentions)}
    if cursor is None:
        values |= {"state": "working", "persons": len(found), "cursor": "0"}
    else:
        values["cursor"] = cursor
    await tx.execute(update(requests).where(requests.c.id == request.id).values(values))


async def note_worked(tx: Transaction, request: PersonRequest, *, done: int) -> None:
    """Write how many persons ingest has done its part for; at the last it has nothing more."""
    cursor = str(done) if done < request.persons else None
    await tx.execute(update(requests).where(requests.c.id == request.id).values(cursor=cursor))


async def seal_part(
    view: Reading,
    person_keys: PersonKeys,
    ref: str,
    *,
    request_id: str,
    service: Serving,
    document: Mapping[str, Any],
) -> str | None:
    """Seal what a service knows about a person under their own key; None once erased."""
    key = (await person_keys.for_reading(view, [ref])).get(ref)
    if key is None:
        return None
    return f"{ref} {seal_document(key, document, context=_context(request_id, service))}"


def _context(request_id: str, service: str) -> str:
    """Bind a sealed part to where it lies."""
    return f"{request_id}/{service}"


async def record_part(
    tx: Transaction,
    request_id: str,
    service: Serving,
    *,
    counts: Mapping[str, int],
    now: datetime,
    part: str | None = None,
    persons: int = 1,
) -> None:
    """Note what a service did for a request; what it notes adds up.

    Call it once for each event (its inbox sees to that), ``persons=0`` for one that is not the
    last about its person. ``part`` is what ``seal_part`` made. Where a poll brings several
    requests, note them in the order of their ids: each is locked until the commit. A request
    that is not known, or done already, is left alone.
    """
    request = await tx.first(
        select(requests).where(requests.c.id == request_id).with_for_update()
    )
    if request is None or request.state == "done":
        return
    here = and_(parts.c.request_id == request_id, parts.c.service == service)
    known = await tx.first(select(parts).where(here))
    if known is None:
        await tx.execute(
            tx.insert(parts).values(
                request_id=request_id,
                service=service,
                persons_done=persons,
                counts=dict(counts),
                sealed_part=part,
            )
        )
    else:
        lines = [line for line in (known.sealed_part, part) if line is not None]
        await tx.execute(
            update(parts)
            .where(here)
            .values(
                persons_done=known.persons_done + persons,
                counts=_sum(known.counts, counts),
                sealed_part="\n".join(lines) or None,
            )
        )
    await finish_if_complete(tx, request_id, now=now)


def _sum(known: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: known.get(name, 0) + more.get(name, 0) for name in {**known, **more}}


async def finish_if_complete(tx: Transaction, request_id: str, *, now: datetime) -> bool:
    """Write the certificate once all services have done all persons; the row must be locked."""
    request = await get_request(tx, request_id)
    if request.state != "working":
        return False
    rows = await tx.all(
        select(parts.c.service, parts.c.persons_done, parts.c.counts).where(
            parts.c.request_id == request_id
        )
    )
    done = {row.service: row for row in rows}
    if request.persons and any(
        service not in done or done[service].persons_done < request.persons
        for service in SERVICES
    ):
        return False
    certificate: dict[str, Any] = {
        "persons": request.persons,
        "services": {name: dict(done[name].counts) for name in SERVICES if name in done},
    }
    if request.kind == "erasure":
        certificate["remains"] = list(REMAINS)
        certificate["log_until"] = (now + LOG_KEPT).date().isoformat()
    await tx.execute(
        update(requests)
        .where(requests.c.id == request_id)
        .values(
            state="done",
            done_at=now,
            certificate=certificate,
            sealed_subject=None,
            found=None,
            cursor=None,
        )
    )
    return True


async def unswept(view: Reading, *, limit: int = 200) -> list[str]:
    """Return erasures that are done while the database may still hold what was scrubbed."""
    rows = await view.all(
        select(requests.c.id)
        .where(
            requests.c.state == "done",
            requests.c.kind == "erasure",
            requests.c.swept_at.is_(None),
        )
        .limit(limit)
    )
    return [row.id for row in rows]


async def note_swept(tx: Transaction, ids: Sequence[str], *, now: datetime) -> None:
    """Write that the database has let go of what these erasures scrubbed."""
    await tx.execute(update(requests).where(requests.c.id.in_(ids)).values(swept_at=now))


async def archive_of(
    view: Reading, request_id: str, person_keys: PersonKeys
) -> list[dict[str, Any]]:
    """Return what all services know about each person of an export; empty once it is gone.

    What is sealed under the key of somebody who was erased since is gone with them.
    """
    rows = await view.all(select(parts).where(parts.c.request_id == request_id))
    tokens: dict[str, dict[str, str]] = {}
    for row in rows:
        for line in (row.sealed_part or "").splitlines():
            ref, _, token = line.partition(" ")
            tokens.setdefault(ref, {})[row.service] = token
    keys = await person_keys.for_reading(view, sorted(tokens))
    archive = []
    for ref, by_service in sorted(tokens.items()):
        if (key := keys.get(ref)) is None:
            continue
        person: dict[str, Any] = {"ref": ref}
        for service in SERVICES:
            if service in by_service:
                context = _context(request_id, service)
                try:
                    person[service] = open_document(key, by_service[service], context=context)
                except CannotOpen:
                    continue  # of a former key of theirs
        archive.append(person)
    return archive


async def drop_parts(tx: Transaction, ref: str) -> int:
    """Forget what lies in archives about a person; return how many there were."""
    rows = await tx.all(
        select(parts).where(parts.c.sealed_part.like(f"%{ref} %")).with_for_update()
    )
    dropped = 0
    for row in rows:
        lines = row.sealed_part.splitlines()
        kept = [line for line in lines if not line.startswith(f"{ref} ")]
        dropped += len(lines) - len(kept)
        await tx.execute(
            update(parts)
            .where(parts.c.request_id == row.request_id, parts.c.service == row.service)
            .values(sealed_part="\n".join(kept) or None)
        )
    return dropped


async def drop_old_archives(tx: Transaction, *, before: datetime) -> int:
    """Forget the archives of exports that were done before that moment; return how many."""
    old = select(requests.c.id).where(requests.c.done_at < before)
    result = await tx.execute(
        update(parts)
        .where(parts.c.sealed_part.is_not(None), parts.c.request_id.in_(old))
        .values(sealed_part=None)
    )
    return result.rowcount


async def has_old_archives(view: Reading, *, before: datetime) -> bool:
    """Tell whether there is an archive whose time is over."""
    row = await view.first(
        select(parts.c.request_id)
        .join(requests, requests.c.id == parts.c.request_id)
        .where(parts.c.sealed_part.is_not(None), requests.c.done_at < before)
        .limit(1)
    )
    return row is not None


def _request(row: Row[Any]) -> PersonRequest:
    return PersonRequest(
        id=row.id,
        kind=row.kind,
        reason=row.reason,
        state=row.state,
        asked_at=row.asked_at,
        asked_by=row.asked_by,
        found_by=row.found_by,
        found=tuple(row.found or ()),
        mentions=tuple(row.mentions or ()),
        persons=row.persons,
        cursor=row.cursor,
        done_at=row.done_at,
        certificate=row.certificate,
        sealed_subject=row.sealed_subject,
    )
