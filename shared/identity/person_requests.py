"""What was asked for about persons, and what each service did for it.

A request is done once every service has said of every person that it did its part; whoever
completes it writes the certificate. It counts and dates, and names nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import select, update

from shared.identity.tables import person_request_parts, person_requests
from shared.sealing import seal_document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.db.transaction import Transaction
    from shared.identity.person_keys import PersonKeys

Kind = Literal["export", "erasure"]
State = Literal["searching", "working", "done"]
Serving = Literal["ingest", "loop", "notify"]

SERVICES: Final[tuple[Serving, ...]] = ("ingest", "loop", "notify")
REMAINS: Final = ("score", "times", "touchpoint", "themes")
"""What is kept of an erased person's responses: it counts, and tells nobody's name."""


def part_context(request_id: str, service: str) -> str:
    """Bind a sealed part to where it lies."""
    return f"{request_id}/{service}"


async def seal_part(
    tx: Transaction,
    person_keys: PersonKeys,
    ref: str,
    *,
    request_id: str,
    service: Serving,
    document: Mapping[str, Any],
) -> str | None:
    """Seal what a service knows about a person under their own key; None once erased."""
    key = (await person_keys.for_reading(tx, [ref])).get(ref)
    if key is None:
        return None
    return f"{ref} {seal_document(key, document, context=part_context(request_id, service))}"


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
        select(person_requests).where(person_requests.c.id == request_id).with_for_update()
    )
    if request is None or request.state == "done":
        return
    here = (person_request_parts.c.request_id == request_id) & (
        person_request_parts.c.service == service
    )
    known = await tx.first(select(person_request_parts).where(here))
    if known is None:
        await tx.execute(
            tx.insert(person_request_parts).values(
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
            update(person_request_parts)
            .where(here)
            .values(
                persons_done=known.persons_done + persons,
                counts=_sum(known.counts, counts),
                sealed_part="\n".join(lines) or None,
            )
        )
    if request.state == "working":
        await finish_if_complete(tx, request_id, now=now)


def _sum(known: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: known.get(name, 0) + more.get(name, 0) for name in {**known, **more}}


async def finish_if_complete(tx: Transaction, request_id: str, *, now: datetime) -> bool:
    """Write the certificate once all three have done all persons; the row must be locked."""
    request = await tx.first(select(person_requests).where(person_requests.c.id == request_id))
    if request is None or request.state != "working":
        return False
    rows = await tx.all(
        select(
            person_request_parts.c.service,
            person_request_parts.c.persons_done,
            person_request_parts.c.counts,
        ).where(person_request_parts.c.request_id == request_id)
    )
    parts = {row.service: row for row in rows}
    if request.persons and any(
        service not in parts or parts[service].persons_done < request.persons
        for service in SERVICES
    ):
        return False
    certificate = {
        "persons": request.persons,
        "services": {
            service: dict(parts[service].counts) for service in SERVICES if service in parts
        },
        "remains": list(REMAINS) if request.kind == "erasure" else [],
    }
    await tx.execute(
        update(person_requests)
        .where(person_requests.c.id == request_id)
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
