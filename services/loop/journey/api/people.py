"""``/v1/departments``, ``/v1/staff``, ``/v1/teams``: whom an owner can be named after."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey.schemas.people import (
    DepartmentChange,
    DepartmentList,
    DepartmentOut,
    NewDepartment,
    StaffList,
    StaffOut,
    TeamList,
    shown_department,
    shown_staff,
    shown_team,
)
from services.loop.resources import Loop
from shared.db.transaction import Transaction
from shared.errors import NotFound
from shared.identity.groups import Department, department, list_departments, list_teams
from shared.identity.people import list_staff, wanted
from shared.identity.principal import Principal, Scope
from shared.identity.teams import create_department, update_department
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce
from shared.web.versions import etag, expected_version

router = APIRouter(tags=["people"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.SETTINGS_READ))]
_Writer = Annotated[Principal, Depends(requires(Scope.SETTINGS_WRITE))]


@router.get("/v1/departments", response_model=DepartmentList, summary="List departments")
async def get_departments(request: Request, _caller: _Reader, page: Paged) -> dict[str, object]:
    """List departments in the order in which they were made."""
    loop = resources(request, Loop)
    after = page.after(loop.keyring, of="departments")
    async with loop.database.reading() as view:
        rows = await list_departments(
            view, limit=page.limit + 1, after=after[0] if after else None
        )
    return listed(
        rows,
        page,
        show=shown_department,
        key=lambda part: [part.id],
        keyring=loop.keyring,
        of="departments",
    )


@router.post(
    "/v1/departments",
    status_code=201,
    summary="Add a department",
    openapi_extra=body_of(NewDepartment),
    responses={201: {"model": DepartmentOut}},
)
async def post_department(request: Request, caller: _Writer, once: Once) -> Response:
    """Add a department under a name that no other has."""
    sent = await read_as(request, NewDepartment)
    loop = resources(request, Loop)

    async def create(tx: Transaction) -> Answer:
        made = await create_department(
            tx, name=sent.name, head_id=sent.head_id, by=caller, now=loop.clock.now()
        )
        return Answer(
            body=shown_department(made), status=201, headers={"ETag": etag(made.version)}
        )

    return await once.act(loop.database, create, by=caller, meaning=sent)


@router.get(
    "/v1/departments/{department_id}",
    summary="Read a department",
    responses={200: {"model": DepartmentOut}},
)
async def get_department(
    request: Request, department_id: str, _caller: _Reader
) -> JSONResponse:
    """Return one department."""
    async with resources(request, Loop).database.reading() as view:
        found = await department(view, department_id)
    if found is None:
        raise NotFound("There is no such department. List them at /v1/departments.")
    return _answer(found)


@router.patch(
    "/v1/departments/{department_id}",
    summary="Change a department's name or head",
    openapi_extra=body_of(DepartmentChange),
    responses={200: {"model": DepartmentOut}},
)
async def patch_department(
    request: Request, department_id: str, caller: _Writer
) -> JSONResponse:
    """Change what was sent: members left out stay, a head of null takes the head away."""
    sent = await read_as(request, DepartmentChange)
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        saved = await update_department(
            tx,
            department_id,
            expected=expected_version(request),
            by=caller,
            now=loop.clock.now(),
            **sent.members(),
        )
    return _answer(saved)


@router.get("/v1/staff", response_model=StaffList, summary="List members of staff")
async def get_staff(request: Request, _caller: _Reader, page: Paged) -> dict[str, object]:
    """List everybody, also those whose accounts are disabled, in the order of their making."""
    loop = resources(request, Loop)
    after = page.after(loop.keyring, of="staff")
    async with loop.database.reading() as view:
        rows = await list_staff(
            view,
            limit=page.limit + 1,
            after=after[0] if after else None,
            with_disabled=True,
        )
    return listed(
        rows,
        page,
        show=shown_staff,
        key=lambda person: [person.id],
        keyring=loop.keyring,
        of="staff",
    )


@router.get("/v1/staff/{staff_id}", response_model=StaffOut, summary="Read a member of staff")
async def get_person(request: Request, staff_id: str, _caller: _Reader) -> dict[str, object]:
    """Return one member of staff."""
    async with resources(request, Loop).database.reading() as view:
        return shown_staff(await wanted(view, staff_id))


@router.get("/v1/teams", response_model=TeamList, summary="List teams")
async def get_teams(request: Request, _caller: _Reader, page: Paged) -> dict[str, object]:
    """List teams by their ids."""
    loop = resources(request, Loop)
    after = page.after(loop.keyring, of="teams")
    async with loop.database.reading() as view:
        rows = await list_teams(view, limit=page.limit + 1, after=after[0] if after else None)
    return listed(
        rows,
        page,
        show=shown_team,
        key=lambda group: [group.id],
        keyring=loop.keyring,
        of="teams",
    )


def _answer(part: Department) -> JSONResponse:
    return JSONResponse(shown_department(part), headers={"ETag": etag(part.version)})
