"""``/v1/touchpoints``: list, read, describe, change, and who answers from when until when."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey.domain import Ownership, Touchpoint
from services.loop.journey.handlers import (
    add_touchpoint,
    change_touchpoint,
    check_responsible,
    end_ownership,
    find_periods,
    find_touchpoint,
    list_touchpoints,
    plan_ownership,
)
from services.loop.journey.schemas.touchpoints import (
    NewOwnership,
    NewTouchpoint,
    OwnershipEnd,
    OwnershipList,
    OwnershipOut,
    TouchpointChange,
    TouchpointList,
    TouchpointOut,
    shown,
    shown_period,
)
from services.loop.journey.store import TouchpointFilter
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

router = APIRouter(prefix="/v1/touchpoints", tags=["touchpoints"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.SETTINGS_READ))]
_Writer = Annotated[Principal, Depends(requires(Scope.POLICIES_WRITE))]


@router.get(
    "",
    response_model=TouchpointList,
    summary="List touchpoints, also those that nobody has described",
)
async def get_touchpoints(
    request: Request,
    _caller: _Reader,
    page: Paged,
    *,
    mapped: Annotated[
        bool | None, Query(description="false: what responses name and nobody has described")
    ] = None,
    owned: Annotated[
        bool | None, Query(description="false: nobody who can be given its tasks owns it now")
    ] = None,
) -> dict[str, object]:
    """List touchpoints by code."""
    loop = resources(request, Loop)
    of = f"touchpoints?{mapped}&{owned}"
    async with loop.database.reading() as view:
        rows = await list_touchpoints(
            view,
            TouchpointFilter(mapped=mapped, owned=owned),
            now=loop.clock.now(),
            after=page.after(loop.keyring, of=of),
            most=page.limit + 1,
        )
    return listed(
        rows, page, show=shown, key=lambda row: [row.code], keyring=loop.keyring, of=of
    )


# The routes below a touchpoint come first: a code may hold slashes itself.


@router.get(
    "/{code:path}/owners",
    response_model=OwnershipList,
    summary="List who answers for a touchpoint from when until when",
)
async def get_owners(
    request: Request, code: str, _caller: _Reader, page: Paged
) -> dict[str, object]:
    """List the periods of a touchpoint, also past and planned ones, the earliest first."""
    loop = resources(request, Loop)
    of, now = f"owners?{code}", loop.clock.now()
    after = page.after(loop.keyring, of=of)
    async with loop.database.reading() as view:
        periods = await find_periods(view, code)
    if after is not None:
        periods = [one for one in periods if [one.valid_from.isoformat(), one.id] > after]
    return listed(
        periods,
        page,
        show=lambda period: shown_period(period, now),
        key=lambda period: [period.valid_from.isoformat(), period.id],
        keyring=loop.keyring,
        of=of,
    )


@router.post(
    "/{code:path}/owners",
    status_code=201,
    summary="Have somebody answer for a touchpoint from a moment on",
    openapi_extra=body_of(NewOwnership),
    responses={201: {"model": OwnershipOut}},
)
async def post_owner(request: Request, code: str, caller: _Writer, once: Once) -> Response:
    """Add a period: from now on unless it says otherwise, with an open end unless it has one.

    One that runs without an end is ended where the new one begins, if that has none either.
    Anything else that overlaps is 409. Without ``department_id`` the touchpoint stays with its
    department. The ETag is the touchpoint's.
    """
    sent = await read_as(request, NewOwnership)
    loop, expected = resources(request, Loop), expected_version(request)
    now = loop.clock.now()
    new = Ownership(
        id="",
        owner=sent.owner.ref(),
        department_id=sent.department_id,
        valid_from=sent.valid_from or now,
        valid_until=sent.valid_until,
    )

    async def plan(tx: Transaction) -> Answer:
        touchpoint, period = await plan_ownership(
            tx,
            code,
            new,
            expected=expected,
            by=caller,
            now=now,
            keep_department="department_id" not in sent.model_fields_set,
        )
        return Answer(
            body=shown_period(period, now),
            status=201,
            headers={"ETag": etag(touchpoint.version)},
        )

    return await once.act(loop.database, plan, by=caller, meaning=sent)


@router.patch(
    "/{code:path}/owners/{period_id}",
    summary="Say when somebody stops answering for a touchpoint",
    openapi_extra=body_of(OwnershipEnd),
    responses={200: {"model": TouchpointOut}},
)
async def patch_owner(
    request: Request, code: str, period_id: str, caller: _Writer
) -> JSONResponse:
    """End a period at a moment from now on; one that has not begun by then never happens."""
    sent = await read_as(request, OwnershipEnd)
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        now = loop.clock.now()
        await end_ownership(
            tx,
            code,
            period_id,
            at=sent.valid_until,
            expected=expected_version(request),
            by=caller,
            now=now,
        )
        saved = await find_touchpoint(tx, code, now=now)  # with how often it was named
    return _answer(saved)


@router.delete(
    "/{code:path}/owners/{period_id}",
    summary="Have somebody stop answering for a touchpoint now",
    responses={200: {"model": TouchpointOut}},
)
async def delete_owner(
    request: Request, code: str, period_id: str, caller: _Writer
) -> JSONResponse:
    """End a running period now, or drop a planned one."""
    loop = resources(request, Loop)
    now = loop.clock.now()
    async with loop.database.transaction() as tx:
        await end_ownership(
            tx,
            code,
            period_id,
            at=now,
            expected=expected_version(request),
            by=caller,
            now=now,
        )
        saved = await find_touchpoint(tx, code, now=now)
    return _answer(saved)


@router.get(
    "/{code:path}",
    summary="Read a touchpoint",
    responses={200: {"model": TouchpointOut}},
)
async def get_touchpoint(request: Request, code: str, _caller: _Reader) -> JSONResponse:
    """Return one touchpoint."""
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        return _answer(await find_touchpoint(view, code, now=loop.clock.now()))


@router.post(
    "",
    status_code=201,
    summary="Describe a touchpoint",
    openapi_extra=body_of(NewTouchpoint),
    responses={201: {"model": TouchpointOut}},
)
async def post_touchpoint(request: Request, caller: _Writer, once: Once) -> Response:
    """Describe a touchpoint, whether responses have named it already or not."""
    sent = await read_as(request, NewTouchpoint)
    loop = resources(request, Loop)
    described = Touchpoint(
        code=sent.code,
        name=sent.name,
        macro=sent.macro,
        key=sent.key,
        owner=sent.owner.ref() if sent.owner else None,
        department_id=sent.department_id,
        mapped=True,
        first_seen_at=loop.clock.now(),
        version=1,
    )

    async def describe(tx: Transaction) -> Answer:
        await check_responsible(tx, described.owner, described.department_id)
        added = await add_touchpoint(tx, described, by=caller)
        return Answer(body=shown(added), status=201, headers={"ETag": etag(added.version)})

    return await once.act(loop.database, describe, by=caller, meaning=sent)


@router.patch(
    "/{code:path}",
    summary="Change what is said of a touchpoint",
    openapi_extra=body_of(TouchpointChange),
    responses={200: {"model": TouchpointOut}},
)
async def patch_touchpoint(request: Request, code: str, caller: _Writer) -> JSONResponse:
    """Change what is said of a touchpoint: members left out stay, null clears."""
    sent = await read_as(request, TouchpointChange)
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        saved = await change_touchpoint(
            tx,
            code,
            sent.members(),
            expected=expected_version(request),
            by=caller,
            now=loop.clock.now(),
        )
    return _answer(saved)


def _answer(touchpoint: Touchpoint) -> JSONResponse:
    return JSONResponse(shown(touchpoint), headers={"ETag": etag(touchpoint.version)})
