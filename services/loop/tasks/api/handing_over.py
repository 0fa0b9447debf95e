"""``POST /v1/staff/{id}/handover``: what somebody who leaves has in hand goes to another."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey.schemas.touchpoints import Id
from services.loop.resources import Loop
from services.loop.tasks.handlers.handing_over import MOST_AT_ONCE, hand_over
from shared.db.transaction import Transaction
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.query import EachOnce

router = APIRouter(tags=["people"], dependencies=[EachOnce])

_Writer = Annotated[Principal, Depends(requires(Scope.TASKS_WRITE))]


class HandoverIn(BaseModel):
    """Who takes over, and what; touchpoints and rules take the right to change settings."""

    model_config = ConfigDict(extra="forbid", strict=True)

    to: Id
    tasks: bool = True
    touchpoints: bool = False
    rules: bool = Field(default=False, description="their places in the routing rules")


class HandoverOut(BaseModel):
    """How much went over; with ``more`` there are tasks left for another go."""

    tasks: int = Field(description=f"at most {MOST_AT_ONCE} at once")
    actions: int = Field(description="promises to customers, also in tasks of others")
    touchpoints: int
    rules: int
    more: bool


@router.post(
    "/v1/staff/{staff_id}/handover",
    summary="Hand over what somebody has in hand",
    openapi_extra=body_of(HandoverIn),
    responses={200: {"model": HandoverOut}},
)
async def post_handover(
    request: Request, staff_id: str, caller: _Writer, once: Once
) -> Response:
    """Give open tasks, promises, touchpoints and places in rules to somebody else or a team.

    Who leads may.
    """
    sent = await read_as(request, HandoverIn)
    loop = resources(request, Loop)

    async def act(tx: Transaction) -> Answer:
        done = await hand_over(
            tx,
            staff_id,
            sent.to,
            tasks=sent.tasks,
            touchpoints=sent.touchpoints,
            rules=sent.rules,
            by=caller,
            person_keys=loop.person_keys,
            now=loop.clock.now(),
        )
        return Answer(body=HandoverOut(**asdict(done)).model_dump(mode="json"))

    return await once.act(loop.database, act, by=caller, meaning=sent)
