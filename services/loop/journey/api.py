"""``/v1/touchpoints``: list, read, describe, change."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey import store
from services.loop.journey.domain import OwnerRef, Touchpoint
from services.loop.journey.handlers import (
    add_touchpoint,
    change_touchpoint,
    find_touchpoint,
)
from services.loop.journey.schemas import NewTouchpoint, TouchpointChange, shown
from services.loop.resources import Loop
from shared.db.transaction import Reading, Transaction
from shared.errors import Finding, Invalid
from shared.identity import audit
from shared.identity.groups import department
from shared.identity.owners import find_owner
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
_Writer = Annotated[Principal, Depends(requires(Scope.SETTINGS_WRITE))]


@router.get("", summary="List touchpoints, also those that nobody has described")
async def list_touchpoints(
    request: Request,
    _caller: _Reader,
    page: Paged,
    *,
    mapped: Annotated[
        bool | None, Query(description="false: what responses name and nobody has described")
    ] = None,
) -> dict[str, object]:
    """List touchpoints by code."""
    loop = resources(request, Loop)
    of = f"touchpoints?{mapped}"
    after = page.after(loop.keyring, of=of)
    async with loop.database.reading() as view:
        rows = await store.page_of(
            view, after=after[0] if after else None, most=page.limit + 1, mapped=mapped
        )
    return listed(
        rows, page, show=shown, key=lambda row: [row.code], keyring=loop.keyring, of=of
    )


@router.get("/{code:path}", summary="Read a touchpoint")
async def get_touchpoint(request: Request, code: str, _caller: _Reader) -> JSONResponse:
    """Return one touchpoint."""
    async with resources(request, Loop).database.reading() as view:
        return _answer(await find_touchpoint(view, code))


@router.post(
    "",
    status_code=201,
    summary="Describe a touchpoint",
    openapi_extra=body_of(NewTouchpoint),
)
async def post_touchpoint(request: Request, caller: _Writer, once: Once) -> Response:
    """Describe a touchpoint, whether responses have named it already or not."""
    sent = await read_as(request, NewTouchpoint)
    loop = resources(request, Loop)
    now = loop.clock.now()
    described = replace(
        Touchpoint(
            code=sent.code,
            name=None,
            macro=None,
            owner=None,
            department_id=None,
            mapped=True,
            first_seen_at=now,
            version=1,
        ),
        **sent.members(),
    )

    async def describe(tx: Transaction) -> Answer:
        await _check(tx, described)
        added = await add_touchpoint(tx, described)
        await audit.record(tx, caller, "touchpoint.described", _subject(added), now=now)
        return Answer(body=shown(added), status=201, headers={"ETag": etag(added.version)})

    return await once.act(loop.database, describe, by=caller, meaning=sent)


@router.patch(
    "/{code:path}",
    summary="Change what is said of a touchpoint",
    openapi_extra=body_of(TouchpointChange),
)
async def patch_touchpoint(request: Request, code: str, caller: _Writer) -> JSONResponse:
    """Change what is said of a touchpoint: members left out stay, null clears."""
    sent = await read_as(request, TouchpointChange)
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        changed = replace(await find_touchpoint(tx, code), **sent.members())
        await _check(tx, changed)
        saved = await change_touchpoint(tx, changed, expected=expected_version(request))
        await audit.record(
            tx, caller, "touchpoint.changed", _subject(saved), now=loop.clock.now()
        )
    return _answer(saved)


async def _check(view: Reading, touchpoint: Touchpoint) -> None:
    """Refuse an owner or a department that does not exist."""
    findings = []
    owner: OwnerRef | None = touchpoint.owner
    if owner is not None and await find_owner(view, owner.id, owner.kind) is None:
        findings.append(
            Finding(
                pointer="/owner",
                code="unknown_owner",
                detail="there is no such member of staff or team",
                fix="send an id of /v1/staff with kind person, or of a team with kind team",
            )
        )
    if (
        touchpoint.department_id is not None
        and await department(view, touchpoint.department_id) is None
    ):
        findings.append(
            Finding(
                pointer="/department_id",
                code="unknown_department",
                detail="there is no such department",
                fix="send an id of /v1/departments",
            )
        )
    if findings:
        raise Invalid("The touchpoint names somebody who does not exist.", findings)


def _subject(touchpoint: Touchpoint) -> str:
    return touchpoint.code[:80]


def _answer(touchpoint: Touchpoint) -> JSONResponse:
    return JSONResponse(shown(touchpoint), headers={"ETag": etag(touchpoint.version)})
