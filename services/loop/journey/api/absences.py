"""``/v1/absences`` and ``/v1/workloads``: when somebody gets no new tasks, and who does."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.loop.journey.domain import Absence
from services.loop.journey.handlers.absences import (
    absences_from,
    end_absence,
    limit_workload,
    note_absence,
    workloads,
)
from services.loop.journey.schemas.absences import (
    AbsenceIn,
    AbsenceList,
    AbsenceOut,
    WorkloadIn,
    WorkloadList,
    WorkloadOut,
    shown_absence,
    shown_workload,
)
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

router = APIRouter(tags=["people"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.TASKS_READ))]
_Writer = Annotated[Principal, Depends(requires(Scope.TASKS_WRITE))]


@router.get("/v1/absences", response_model=AbsenceList, summary="List who is away now or later")
async def get_absences(request: Request, _caller: _Reader, page: Paged) -> dict[str, object]:
    """List absences that are not over, the earliest first."""
    loop = resources(request, Loop)
    after = page.after(loop.keyring, of="absences")
    async with loop.database.reading() as view:
        rows = await absences_from(view, loop.clock.now())
    if after is not None:
        rows = [one for one in rows if [one.begins_at.isoformat(), one.id] > after]
    return listed(
        rows[: page.limit + 1],
        page,
        show=shown_absence,
        key=lambda one: [one.begins_at.isoformat(), one.id],
        keyring=loop.keyring,
        of="absences",
    )


@router.post(
    "/v1/absences",
    status_code=201,
    summary="Note an absence",
    openapi_extra=body_of(AbsenceIn),
    responses={201: {"model": AbsenceOut}},
)
async def post_absence(request: Request, caller: _Writer, once: Once) -> Response:
    """Note that somebody is away: oneself, or for who leads and for systems anybody."""
    sent = await read_as(request, AbsenceIn)
    loop = resources(request, Loop)
    now = loop.clock.now()
    new = Absence(
        id="",
        staff_id=sent.staff_id,
        deputy_id=sent.deputy_id,
        begins_at=sent.begins_at or now,
        ends_at=sent.ends_at,
    )

    async def note(tx: Transaction) -> Answer:
        absence = await note_absence(tx, new, by=caller, now=now)
        return Answer(body=shown_absence(absence), status=201)

    return await once.act(loop.database, note, by=caller, meaning=sent)


@router.delete("/v1/absences/{absence_id}", status_code=204, summary="End an absence")
async def delete_absence(request: Request, absence_id: str, caller: _Writer) -> Response:
    """Say that somebody is back, or will not be away after all."""
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        await end_absence(tx, absence_id, by=caller, now=loop.clock.now())
    return Response(status_code=204)


@router.get("/v1/workloads", response_model=WorkloadList, summary="List limits of open tasks")
async def get_workloads(request: Request, _caller: _Reader, page: Paged) -> dict[str, object]:
    """List how many open tasks somebody is given at most; who is absent has no limit."""
    loop = resources(request, Loop)
    after = page.after(loop.keyring, of="workloads")
    async with loop.database.reading() as view:
        found = await workloads(view)
    rows = [found[who] for who in sorted(found) if after is None or who > after[0]]
    return listed(
        rows[: page.limit + 1],
        page,
        show=shown_workload,
        key=lambda one: [one.staff_id],
        keyring=loop.keyring,
        of="workloads",
    )


@router.put(
    "/v1/workloads/{staff_id}",
    summary="Limit the open tasks of somebody",
    openapi_extra=body_of(WorkloadIn),
    responses={200: {"model": WorkloadOut}},
)
async def put_workload(request: Request, staff_id: str, caller: _Writer) -> JSONResponse:
    """Set or take away a limit; who leads may, and systems."""
    sent = await read_as(request, WorkloadIn)
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        load = await limit_workload(
            tx,
            staff_id,
            most_open=sent.most_open,
            deputy_id=sent.deputy_id,
            expected=expected_version(request),
            by=caller,
            now=loop.clock.now(),
        )
    return JSONResponse(shown_workload(load), headers={"ETag": etag(load.version)})
