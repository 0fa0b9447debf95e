"""One customer with everything that happened; whoever asks is written down."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse

from services.loop.resources import Loop
from services.loop.tasks.handlers import look_at_customer
from services.loop.tasks.schemas.customer import customer_document
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.query import EachOnce

router = APIRouter(tags=["tasks"], dependencies=[EachOnce])

Reader = Annotated[Principal, Depends(requires(Scope.TASKS_READ))]


@router.get(
    "/v1/customers/{customer_id}",
    summary="Read one customer: answers, contacts, tasks and mails, the latest first",
)
async def get_customer(request: Request, customer_id: str, caller: Reader) -> JSONResponse:
    """Return the customer; who may not see the person gets the events without them.

    The id is the pseudonym ``per_…`` that tasks carry as ``customer_id``. Every look is
    written down in the audit trail.
    """
    loop = resources(request, Loop)
    now = loop.clock.now()
    async with loop.database.transaction() as tx:
        seen = await look_at_customer(
            tx, customer_id, caller=caller, person_keys=loop.person_keys, now=now
        )
    return JSONResponse(customer_document(seen, now), headers={"Cache-Control": "no-store"})
