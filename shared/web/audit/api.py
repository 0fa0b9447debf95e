"""``GET /v1/audit``: the trail for other systems, such as one that watches for misuse."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from shared.errors import Finding, Invalid
from shared.identity import trail
from shared.identity.principal import Principal, Scope
from shared.identity.trail import Entry, Sought
from shared.web.access import web
from shared.web.auth import requires
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce

router = APIRouter(tags=["audit"], dependencies=[EachOnce])

Auditor = Annotated[Principal, Depends(requires(Scope.AUDIT_READ))]
_ACTION = r"^[a-z]+(-[a-z]+)*\.(\*|[a-z]+([-_][a-z]+)*)$"


class ActorOut(BaseModel):
    """Who did it; ``system`` is the installation itself and whoever sits at the machine."""

    kind: Literal["staff", "key", "system"]
    id: str
    name: str | None = Field(description="what they are called by now; null where unknown")


class EntryOut(BaseModel):
    """One line of the trail; it is never changed."""

    n: int = Field(description="counts up; the order in which it was written")
    at: AwareDatetime
    actor: ActorOut
    action: str = Field(examples=["key.revoked"])
    subject: str = Field(description="the id of what it was done to")
    detail: dict[str, Any] = Field(description="ids, states and counts")


class EntriesOut(BaseModel):
    """A part of the trail."""

    data: list[EntryOut]
    next_cursor: str | None
    has_more: bool


@router.get(
    "/v1/audit",
    summary="List who did or saw what, the latest first",
    response_model=EntriesOut,
)
async def list_entries(  # noqa: PLR0917 - FastAPI passes them by name
    request: Request,
    caller: Auditor,  # noqa: ARG001 - guards
    page: Paged,
    actor: Annotated[
        str | None, Query(max_length=40, description="the id of a person or key, or system")
    ] = None,
    action: Annotated[
        str | None,
        Query(
            max_length=80,
            pattern=_ACTION,
            description="a name, or all of a kind",
            examples=["webhook.*"],
        ),
    ] = None,
    subject: Annotated[
        str | None, Query(max_length=80, description="the id of what it was done to")
    ] = None,
    since: Annotated[AwareDatetime | None, Query(description="from this moment on")] = None,
    until: Annotated[AwareDatetime | None, Query(description="before this moment")] = None,
) -> JSONResponse:
    """Return the lines that match every filter.

    A customer is the subject of ``person.viewed`` under the pseudonym that tasks carry as
    ``customer_id``, so that it can be told who looked at them.
    """
    here = web(request)
    sought = Sought(
        actor=actor,
        action=action,
        subject=subject,
        since=_in_utc(since, "since"),
        until=_in_utc(until, "until"),
    )
    of = f"audit {sought!r}"
    after = page.after(here.keyring, of=of)
    async with here.database.reading() as view:
        found = await trail.entries(
            view, sought, before=after[0] if after else None, limit=page.limit + 1
        )
        names = await trail.names_of(view, [entry.actor_id for entry in found])
    return JSONResponse(
        listed(
            found,
            page,
            show=lambda entry: entry_out(entry, names),
            key=lambda entry: [entry.n],
            keyring=here.keyring,
            of=of,
        ),
        headers={"Cache-Control": "no-store"},
    )


def _in_utc(moment: datetime | None, name: str) -> datetime | None:
    """Return a moment in UTC; at the ends of the calendar there may be none."""
    try:
        return None if moment is None else moment.astimezone(UTC)
    except OverflowError:
        raise Invalid(
            f"The query parameter {name} cannot be used.",
            [
                Finding(
                    pointer=f"/{name}",
                    code="out_of_range",
                    detail="lies beyond the calendar in UTC",
                    fix="send a moment between the years 2 and 9998",
                )
            ],
        ) from None


def entry_out(entry: Entry, names: Mapping[str, str]) -> dict[str, object]:
    """Return one line as a document."""
    return {
        "n": entry.n,
        "at": entry.at.isoformat().replace("+00:00", "Z"),
        "actor": {
            "kind": entry.actor_kind,
            "id": entry.actor_id,
            "name": names.get(entry.actor_id),
        },
        "action": entry.action,
        "subject": entry.subject,
        "detail": dict(entry.detail),
    }
