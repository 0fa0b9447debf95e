"""``POST /v1/routing-rules/try``: what a change would have done in the last 90 days."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.resources import Loop
from services.loop.tasks.handlers.trying import try_out
from services.loop.tasks.schemas.trials import TrialOut, TryIn, shown_trial
from shared.db.transaction import Transaction
from shared.identity.owners import owners
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.query import EachOnce

router = APIRouter(tags=["routing-rules"], dependencies=[EachOnce])

_Writer = Annotated[Principal, Depends(requires(Scope.POLICIES_WRITE))]
_NOT_YET = 0
"""The version of a document that nobody has published."""


@router.post(
    "/v1/routing-rules/try",
    summary="Try rules, schemes and calendars on the last 90 days",
    openapi_extra=body_of(TryIn),
    responses={200: {"model": TrialOut}},
)
async def post_try(request: Request, caller: _Writer, once: Once) -> Response:
    """Return the tasks that these would have opened, beside what was really done.

    No rule, scheme or calendar is written. Answers count as they stand now; how many tasks
    somebody had open at the time is left aside.
    """
    sent = await read_as(request, TryIn)
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        trial = await try_out(
            view,
            book=None if sent.rules is None else _version(sent.rules.document()),
            schemes=[_version(one.document()) for one in sent.schemes],
            calendars=[_version(one.document()) for one in sent.calendars],
            person_keys=loop.person_keys,
            now=loop.clock.now(),
        )
        found = await owners(view, trial.owners)
    names = {owner.id: owner.name for owner in found.values()}
    shown = shown_trial(trial, names)

    async def answer(_tx: Transaction) -> Answer:
        return Answer(body=shown)

    # Tried before the transaction: a trial takes its time, and nobody's write waits for it.
    return await once.act(loop.database, answer, by=caller, meaning=sent)


def _version(document: dict[str, object]) -> dict[str, object]:
    return {**document, "version": _NOT_YET}
