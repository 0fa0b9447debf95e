"""``/v1/person-requests``: a copy of what is known of somebody, or that it be forgotten.

The person is named in the body, never in the address; what an answer says of a request names
nobody. Only the archive does, and whoever fetches it stands in the trail.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from services.ingest.api.keys import answers, time_out
from services.ingest.domain.persons import FoundBy, Named, named
from services.ingest.handlers import Ingest
from services.ingest.handlers.persons import ARCHIVES_KEPT, Found, ask, fetch, find_person
from services.ingest.store import Presence
from shared.db.transaction import Transaction
from shared.identity.person_requests import (
    Kind,
    PersonRequest,
    Reason,
    State,
    get_request,
    list_requests,
)
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce

router = APIRouter(tags=["persons"])

Keeper = Annotated[Principal, Depends(requires(Scope.PERSONS_WRITE))]
PATH: Final = "/v1/person-requests"
_SENT: Final = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class PersonIn(BaseModel):
    """A person, named by one of four ways."""

    model_config = _SENT

    source: Annotated[str | None, Field(description="whose customer_id it is")] = None
    customer_id: Annotated[str | None, Field(description="as the source sent it")] = None
    email: Annotated[
        str | None, Field(description="everybody who gave it as theirs is meant")
    ] = None
    response_id: str | None = None
    ref: Annotated[str | None, Field(description="the pseudonym that events carry")] = None

    def named(self) -> Named:
        """Return who is meant; raise ``Invalid``."""
        return named(self.model_dump())


class FindIn(BaseModel):
    """Whom to look for."""

    model_config = _SENT

    person: PersonIn


class PersonRequestIn(FindIn):
    """What to do about whom."""

    kind: Annotated[Kind, Field(description="a copy of all data, or their erasure")]


class PresenceOut(TypedDict):
    """How much there is of one person, without a word of it."""

    ref: str
    responses: int
    first_received_at: datetime | None
    last_received_at: datetime | None
    sources: list[str]
    erased: bool


class FoundOut(TypedDict):
    """What there is of whoever was named."""

    persons: list[PresenceOut]
    mentions: Annotated[
        list[str],
        Field(description="responses of others that seem to name the person: look at them"),
    ]
    complete: Annotated[
        bool, Field(description="false: there is too much to search while you wait")
    ]


class CertificateOut(TypedDict, total=False):
    """What was done for a request, counted."""

    persons: int
    services: dict[str, dict[str, int]]
    remains: list[str]
    log_until: Annotated[str, Field(description="so long the log keeps what nobody can open")]


class PersonRequestOut(TypedDict):
    """A request as it stands; it names nobody."""

    id: str
    kind: Kind
    reason: Reason
    state: State
    found_by: FoundBy | None
    asked_at: datetime
    asked_by: str
    persons: int
    mentions: list[str]
    done_at: datetime | None
    certificate: CertificateOut | None
    archive_url: Annotated[str | None, Field(description="of an export that is done")]
    archive_until: datetime | None


class PersonRequestListOut(TypedDict):
    """A page of requests, the latest first."""

    data: list[PersonRequestOut]
    next_cursor: str | None
    has_more: bool


class ArchiveOut(TypedDict):
    """All that is known of the persons whom an export is about."""

    request_id: str
    asked_at: datetime
    persons: list[dict[str, Any]]


@router.get(
    PATH,
    dependencies=[EachOnce],
    summary="List requests about persons, the latest first",
    responses=answers(PersonRequestListOut),
)
async def get_requests(
    request: Request,
    _caller: Keeper,
    page: Paged,
    kind: Annotated[Kind | None, Query()] = None,
    state: Annotated[State | None, Query()] = None,
    reason: Annotated[Reason | None, Query()] = None,
) -> JSONResponse:
    """Return what was asked for about persons, and how far it is."""
    ingest = resources(request, Ingest)
    of = f"person-requests {kind} {state} {reason}"
    after = page.after(ingest.keyring, of=of)
    async with ingest.database.reading() as view:
        found = await list_requests(
            view,
            limit=page.limit + 1,
            before=after[0] if after else None,
            kind=kind,
            state=state,
            reason=reason,
        )
    return JSONResponse(
        listed(
            found,
            page,
            show=request_out,
            key=lambda one: [one.id],
            keyring=ingest.keyring,
            of=of,
        )
    )


@router.post(
    PATH,
    status_code=202,
    summary="Ask for a copy of a person's data, or for their erasure",
    openapi_extra=body_of(PersonRequestIn),
    responses=answers(
        PersonRequestOut, status=202, description="Written down; a worker does the rest."
    ),
)
async def post_request(request: Request, caller: Keeper, once: Once) -> Response:
    """Write down what is asked for; its own address says when it is done. Erasing is final."""
    ingest = resources(request, Ingest)
    sent = await read_as(request, PersonRequestIn)
    who = sent.person.named()

    async def act(tx: Transaction) -> Answer:
        made = await ask(tx, ingest, sent.kind, who, by=caller)
        headers = {"location": f"{PATH}/{made.id}"}
        return Answer(body=request_out(made), status=202, headers=headers)

    return await once.act(ingest.database, act, by=caller, meaning=sent)


@router.post(
    f"{PATH}/find",
    summary="Say what there is of a person, without a word of it",
    openapi_extra=body_of(FindIn),
    responses=answers(FoundOut),
)
async def post_find(request: Request, caller: Keeper, once: Once) -> Response:
    """Look for a person and change nothing; that somebody looked stands in the trail."""
    ingest = resources(request, Ingest)
    sent = await read_as(request, FindIn)
    who = sent.person.named()

    async def work() -> Answer:
        return Answer(body=found_out(await find_person(ingest, who, by=caller)))

    return await once.work(ingest.database, work, by=caller, meaning=sent)


@router.get(
    f"{PATH}/{{request_id}}",
    dependencies=[EachOnce],
    summary="How far a request about a person is",
    responses=answers(PersonRequestOut),
)
async def get_one(request: Request, request_id: str, _caller: Keeper) -> JSONResponse:
    """Return a request; once it is done, with the certificate of what was done."""
    ingest = resources(request, Ingest)
    async with ingest.database.reading() as view:
        return JSONResponse(request_out(await get_request(view, request_id)))


@router.get(
    f"{PATH}/{{request_id}}/archive",
    dependencies=[EachOnce],
    summary="Fetch the copy of a person's data",
    responses=answers(
        ArchiveOut, description="For seven days after it is done, unless the person is erased."
    ),
)
async def get_archive(request: Request, request_id: str, caller: Keeper) -> JSONResponse:
    """Return all that is known, from every service; whoever fetches it stands in the trail."""
    ingest = resources(request, Ingest)
    async with ingest.database.transaction() as tx:
        archive = await fetch(tx, ingest, request_id, by=caller)
    return archive_response(archive)


def archive_response(archive: dict[str, Any]) -> JSONResponse:
    """Return an archive as a file."""
    name = f"{archive['request_id']}.json"
    return JSONResponse(
        archive, headers={"content-disposition": f'attachment; filename="{name}"'}
    )


def found_out(found: Found) -> dict[str, Any]:
    """Return what was found as it goes over the wire."""
    return {
        "persons": [_presence_out(one) for one in found.persons],
        "mentions": list(found.mentions),
        "complete": found.complete,
    }


def _presence_out(one: Presence) -> dict[str, Any]:
    return {
        "ref": one.ref,
        "responses": one.responses,
        "first_received_at": time_out(one.first_received_at),
        "last_received_at": time_out(one.last_received_at),
        "sources": list(one.sources),
        "erased": one.erased,
    }


def request_out(one: PersonRequest) -> dict[str, Any]:
    """Return a request as it goes over the wire."""
    has_archive = one.kind == "export" and one.done_at is not None and one.persons > 0
    until = one.done_at + ARCHIVES_KEPT if one.done_at is not None and has_archive else None
    return {
        "id": one.id,
        "kind": one.kind,
        "reason": one.reason,
        "state": one.state,
        "found_by": one.found_by,
        "asked_at": time_out(one.asked_at),
        "asked_by": one.asked_by,
        "persons": one.persons,
        "mentions": list(one.mentions),
        "done_at": time_out(one.done_at),
        "certificate": one.certificate,
        "archive_url": f"{PATH}/{one.id}/archive" if has_archive else None,
        "archive_until": time_out(until),
    }
