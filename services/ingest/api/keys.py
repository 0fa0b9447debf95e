"""``/v1/keys``: what lets systems in. A key's text is shown once, to whoever made it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from services.ingest.handlers import Ingest
from services.ingest.schemas import KeyIn, RotateIn, schema_of
from shared.db.transaction import Transaction
from shared.identity.keys import (
    ApiKey,
    create_key,
    find_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce

router = APIRouter(tags=["keys"])

Looker = Annotated[Principal, Depends(requires(Scope.SETTINGS_READ))]
Keeper = Annotated[Principal, Depends(requires(Scope.SETTINGS_WRITE))]
OfTheTwin = Annotated[bool, Query(description="of what test keys posted, instead")]


class KeyOut(TypedDict):
    """A key as it is shown, without its secret part."""

    id: str
    source: str
    name: str
    prefix: str
    scopes: list[Scope]
    test: bool
    state: Literal["active", "expired", "revoked"]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_on: date | None
    replaced_by: str | None


class KeyMadeOut(KeyOut):
    """A key that was just made."""

    key: Annotated[str, Field(description="the key itself, shown this once")]


class KeyListOut(TypedDict):
    """A page of keys."""

    data: list[KeyOut]
    next_cursor: str | None
    has_more: bool


def answers(kind: type, *, status: int = 200, description: str = "") -> Described:
    """Return what the description of a route says of its answer."""
    answer: dict[str, Any] = {"content": {"application/json": {"schema": schema_of(kind)}}}
    if description:
        answer["description"] = description
    return {status: answer}


Described = dict[int | str, dict[str, Any]]
_MADE: Final = answers(
    KeyMadeOut, status=201, description="The key; its member key is shown this once."
)


@router.get(
    "/v1/keys",
    dependencies=[EachOnce],
    summary="List API keys, without the keys themselves",
    responses=answers(KeyListOut),
)
async def get_keys(
    request: Request,
    _caller: Looker,
    page: Paged,
    source: Annotated[str | None, Query(max_length=200)] = None,
) -> JSONResponse:
    """Return the keys in the order of their making, revoked ones too."""
    ingest = resources(request, Ingest)
    of = f"keys {source!r}"
    after = page.after(ingest.keyring, of=of)
    found: list[ApiKey] = []
    if source is None or source.isprintable():
        async with ingest.database.reading() as view:
            found = [
                *await list_keys(
                    view,
                    limit=page.limit + 1,
                    after=after[0] if after else None,
                    source=source,
                )
            ]
    now = ingest.clock.now()
    return JSONResponse(
        listed(
            found,
            page,
            show=lambda key: key_out(key, now=now),
            key=lambda key: [key.id],
            keyring=ingest.keyring,
            of=of,
        )
    )


@router.post(
    "/v1/keys",
    status_code=201,
    summary="Make an API key; it is shown this once",
    openapi_extra=body_of(KeyIn),
    responses=_MADE,
)
async def post_key(request: Request, caller: Keeper, once: Once) -> Response:
    """Make a key for a source; nobody but an administrator gives a right they do not hold."""
    ingest = resources(request, Ingest)
    sent = await read_as(request, KeyIn)

    async def make(tx: Transaction) -> Answer:
        now = ingest.clock.now()
        key, plain = await create_key(
            tx,
            source=sent.source,
            name=sent.name,
            scopes=sent.scopes,
            expires_at=sent.expires_at,
            test=sent.test,
            now=now,
            by=caller,
        )
        return _made(key, plain, now=now)

    return await once.act(ingest.database, make, by=caller, meaning=sent)


@router.post(
    "/v1/keys/{key_id}/rotate",
    status_code=201,
    summary="Make a key in the place of another, which goes on for a while",
    openapi_extra=body_of(RotateIn),
    responses=_MADE,
)
async def post_rotate(request: Request, key_id: str, caller: Keeper, once: Once) -> Response:
    """Make a key with the same rights; the former one ends after ``overlap_hours``."""
    ingest = resources(request, Ingest)
    sent = await read_as(request, RotateIn) if _has_body(request) else RotateIn()

    async def rotate(tx: Transaction) -> Answer:
        now = ingest.clock.now()
        key, plain = await rotate_key(
            tx, key_id, overlap=timedelta(hours=sent.overlap_hours), now=now, by=caller
        )
        former = await find_key(tx, key_id)
        answer = _made(key, plain, now=now)
        answer.body["former"] = former and key_out(former, now=now)
        return answer

    return await once.act(ingest.database, rotate, by=caller, meaning=sent)


@router.delete("/v1/keys/{key_id}", status_code=204, summary="Revoke an API key at once")
async def delete_key(request: Request, key_id: str, caller: Keeper) -> Response:
    """End a key for good; it is refused everywhere within a second. Again is no change."""
    ingest = resources(request, Ingest)
    async with ingest.database.transaction() as tx:
        await revoke_key(tx, key_id, now=ingest.clock.now(), by=caller)
    return Response(status_code=204)


def _has_body(request: Request) -> bool:
    """Tell whether anything was sent; without it every member has its default."""
    return (
        request.headers.get("content-length", "0") != "0"
        or "transfer-encoding" in request.headers
    )


def _made(key: ApiKey, plain: str, *, now: datetime) -> Answer:
    return Answer(body=key_out(key, now=now) | {"key": plain}, status=201)


def key_out(key: ApiKey, *, now: datetime) -> dict[str, Any]:
    """Return a key as it is shown, without its secret part."""
    if key.revoked_at is not None:
        state = "revoked"
    else:
        state = "active" if key.usable(now) else "expired"
    return {
        "id": key.id,
        "source": key.source,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": sorted(key.scopes),
        "test": key.test,
        "state": state,
        "created_at": time_out(key.created_at),
        "expires_at": time_out(key.expires_at),
        "revoked_at": time_out(key.revoked_at),
        "last_used_on": key.last_used_on and key.last_used_on.isoformat(),
        "replaced_by": key.replaced_by,
    }


def time_out(moment: datetime | None) -> str | None:
    """Return a moment as it goes over the wire."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
