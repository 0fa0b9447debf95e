"""``/v1/calendars``: the opening hours that deadlines and alerts keep to, in versions."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey.handlers.calendars import (
    change_calendar,
    find_calendar,
    list_calendars,
    publish_calendar,
)
from services.loop.journey.schemas.calendars import (
    CalendarChange,
    CalendarList,
    CalendarOut,
    NewCalendar,
    shown_calendar,
)
from services.loop.journey.store.versions import Published
from services.loop.resources import Loop
from shared.db.transaction import Transaction
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce
from shared.web.versions import etag, expected_version

router = APIRouter(prefix="/v1/calendars", tags=["calendars"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.SETTINGS_READ))]
_Writer = Annotated[Principal, Depends(requires(Scope.POLICIES_WRITE))]
_Id = Annotated[str, Path(max_length=40)]
_Version = Annotated[
    int | None, Query(ge=1, le=999_999_999, description="an earlier version of it")
]
_OF: Final = "calendars"


@router.get("", response_model=CalendarList, summary="List the business calendars")
async def get_list(request: Request, _: _Reader, page: Paged) -> dict[str, object]:
    """List the calendars in the versions that apply, by id."""
    loop = resources(request, Loop)
    after = page.after(loop.keyring, of=_OF)
    async with loop.database.reading() as view:
        found = await list_calendars(view)
    rest = [one for one in found if after is None or one.id > after[0]]
    return listed(
        rest[: page.limit + 1],
        page,
        show=shown_calendar,
        key=lambda one: [one.id],
        keyring=loop.keyring,
        of=_OF,
    )


@router.get(
    "/{calendar_id}",
    summary="Read a business calendar",
    responses={200: {"model": CalendarOut}},
)
async def get_one(
    request: Request, calendar_id: _Id, _: _Reader, version: _Version = None
) -> JSONResponse:
    """Return a calendar as it applies, or with ``version`` as it stood then."""
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        return _answer(await find_calendar(view, calendar_id, version))


@router.post(
    "",
    status_code=201,
    summary="Publish a new business calendar",
    openapi_extra=body_of(NewCalendar),
    responses={201: {"model": CalendarOut}},
)
async def post(request: Request, caller: _Writer, once: Once) -> Response:
    """Publish a calendar; schemes name it by its id."""
    sent = await read_as(request, NewCalendar)
    loop = resources(request, Loop)

    async def publish(tx: Transaction) -> Answer:
        new = await publish_calendar(tx, sent.document(), by=caller, now=loop.clock.now())
        return Answer(body=shown_calendar(new), status=201, headers={"ETag": etag(new.version)})

    return await once.act(loop.database, publish, by=caller, meaning=sent)


@router.patch(
    "/{calendar_id}",
    summary="Publish the next version of a business calendar",
    openapi_extra=body_of(CalendarChange),
    responses={200: {"model": CalendarOut}},
)
async def patch(request: Request, calendar_id: _Id, caller: _Writer) -> JSONResponse:
    """Publish what changes as the next version; deadlines that stand already do not move."""
    sent = await read_as(request, CalendarChange)
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        saved = await change_calendar(
            tx,
            calendar_id,
            sent.members(),
            expected=expected_version(request),
            by=caller,
            now=loop.clock.now(),
        )
    return _answer(saved)


def _answer(one: Published) -> JSONResponse:
    return JSONResponse(shown_calendar(one), headers={"ETag": etag(one.version)})
