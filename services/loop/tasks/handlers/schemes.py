"""The use cases of recovery schemes: publishing one, and what makes one unusable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.loop.journey.handlers.publishing import (
    find_published,
    publish_first,
    publish_next,
)
from services.loop.journey.store.calendars import current_calendars
from services.loop.journey.store.versions import Published
from services.loop.tasks.domain.schemes import full_document
from services.loop.tasks.store.policies import SCHEMES
from shared.db.transaction import Reading, Transaction
from shared.errors import Finding, Invalid
from shared.identity.principal import Principal


async def list_schemes(view: Reading) -> Sequence[Published]:
    """Return the schemes that apply to new tasks, by id."""
    return await SCHEMES.latest(view)


async def find_scheme(view: Reading, scheme_id: str, version: int | None = None) -> Published:
    """Return a scheme as it applies, or one version of it; raise ``NotFound``."""
    return await find_published(view, SCHEMES, "scheme", scheme_id, version)


async def publish_scheme(
    tx: Transaction, document: Mapping[str, Any], *, by: Principal, now: datetime
) -> Published:
    """Publish a new scheme; raise ``Invalid`` or, when its id is taken, ``Conflict``."""
    await refuse_unusable(tx, document)
    return await publish_first(tx, SCHEMES, "scheme", document, by=by, now=now)


async def change_scheme(
    tx: Transaction,
    scheme_id: str,
    changes: Mapping[str, Any],
    *,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> Published:
    """Publish the next version of a scheme; tasks that are open keep theirs."""
    known = await find_scheme(tx, scheme_id)
    document = {**full_document(known.document), **changes}
    await refuse_unusable(tx, document)
    return await publish_next(
        tx, SCHEMES, "scheme", scheme_id, document, expected=expected, by=by, now=now
    )


async def refuse_unusable(view: Reading, document: Mapping[str, Any]) -> None:
    """Raise ``Invalid`` for a scheme that nobody could keep, naming each mistake."""
    calendar = document["calendar"]
    known = bool(calendar and await current_calendars(view, [calendar]))
    if findings := list(_findings(document, calendar_is_known=known)):
        raise Invalid("This scheme cannot be kept.", findings)


def _findings(document: Mapping[str, Any], *, calendar_is_known: bool) -> Iterator[Finding]:
    if document["calendar"] is not None and not calendar_is_known:
        yield Finding(
            pointer="/calendar",
            code="unknown_calendar",
            detail="there is no such calendar",
            fix="send an id of /v1/calendars, or null",
        )
    if document["calendar"] is None and document["clock"] == "team":
        yield Finding(
            pointer="/calendar",
            code="calendar_needed",
            detail="the team's clock needs opening hours",
            fix="send an id of /v1/calendars, or the clock customer",
        )
    ids = [one["id"] for one in document["remedies"]]
    if len(set(ids)) != len(ids):
        yield Finding(
            pointer="/remedies",
            code="id_taken",
            detail="two remedies have the same id",
            fix="send each id once",
        )
