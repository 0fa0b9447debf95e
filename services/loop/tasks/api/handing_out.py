"""``POST /v1/tasks/next``: the queue hands out a task."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.resources import Loop
from services.loop.tasks.handlers import note_looks_in, read_task
from services.loop.tasks.handlers.handing_out import take_next
from services.loop.tasks.schemas import document_of
from shared.db.transaction import Transaction
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.idempotency import Answer, Once
from shared.web.query import EachOnce
from shared.web.versions import etag

router = APIRouter(tags=["tasks"], dependencies=[EachOnce])

_Writer = Annotated[Principal, Depends(requires(Scope.TASKS_WRITE))]


@router.post(
    "/v1/tasks/next",
    summary="Take the next task that waits for somebody",
    responses={204: {"description": "No task of your teams waits for somebody"}},
)
async def post_next(request: Request, caller: _Writer, once: Once) -> Response:
    """Claim the task that breaks its promise first, of those that teams of yours hold.

    Nobody else gets the same one. Without a task that waits the answer is 204.
    """
    loop = resources(request, Loop)
    now = loop.clock.now()

    async def take(tx: Transaction) -> Answer:
        task = await take_next(tx, by=caller, person_keys=loop.person_keys, now=now)
        if task is None:
            return Answer(status=204)
        seen = await read_task(tx, task.id, caller=caller, person_keys=loop.person_keys)
        await note_looks_in(tx, [seen], by=caller, via="task", now=now)
        return Answer(
            body=document_of(seen, now),
            headers={"ETag": etag(seen.task.version)},
            person_ref=seen.task.person_ref,
        )

    return await once.act(loop.database, take, by=caller)
