"""``/v1/retention``: how long customers' data are kept, and what will be forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from services.ingest.api.keys import Looker, answers, time_out
from services.ingest.api.persons import Keeper
from services.ingest.handlers import Ingest
from services.ingest.handlers.persons import retention
from services.ingest.handlers.persons.retention import Outlook
from services.ingest.store import Aged
from shared.identity.retention import MOST_MONTHS
from shared.web.access import resources
from shared.web.documents import body_of, read_as
from shared.web.query import EachOnce
from shared.web.versions import etag, expected_version

router = APIRouter(tags=["persons"])

PATH: Final = "/v1/retention"


class RetentionIn(BaseModel):
    """For how long customers' data are to be kept."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    customers_months: Annotated[
        int | None,
        Field(
            ge=1,
            le=MOST_MONTHS,
            description="counted from the acceptance of each response; null: for ever",
        ),
    ]
    confirm: Annotated[
        bool, Field(description="true: a shorter period may forget somebody at the next run")
    ] = False


class AgedOut(TypedDict):
    """How much goes."""

    persons: int
    responses: int


class RetentionOut(TypedDict):
    """How long customers' data are kept, and what will be forgotten."""

    customers_months: int | None
    due: Annotated[AgedOut, Field(description="what the next run forgets")]
    within_30_days: Annotated[AgedOut, Field(description="what has gone by then, due included")]
    waiting: Annotated[
        int, Field(description="persons whose time is over and whose open task needs them")
    ]
    last_run_at: datetime | None
    next_run_at: datetime | None


@router.get(
    PATH,
    dependencies=[EachOnce],
    summary="How long customers' data are kept, and what will be forgotten",
    responses=answers(RetentionOut),
)
async def get_retention(request: Request, _caller: Looker) -> JSONResponse:
    """Return the period, what is due by it, and when; its version is the ETag."""
    ingest = resources(request, Ingest)
    async with ingest.database.reading() as view:
        return _answer(await retention.outlook(view, now=ingest.clock.now()))


@router.put(
    PATH,
    summary="Change how long customers' data are kept",
    openapi_extra=body_of(RetentionIn),
    responses=answers(RetentionOut),
)
async def put_retention(request: Request, caller: Keeper) -> JSONResponse:
    """Let another period hold; a shorter one that forgets somebody takes ``confirm``."""
    ingest = resources(request, Ingest)
    sent = await read_as(request, RetentionIn)
    now = ingest.clock.now()
    async with ingest.database.transaction() as tx:
        await retention.change_policy(
            tx,
            sent.customers_months,
            sure=sent.confirm,
            expected=expected_version(request),
            by=caller,
            now=now,
        )
        return _answer(await retention.outlook(tx, now=now))


def _answer(seen: Outlook) -> JSONResponse:
    return JSONResponse(outlook_out(seen), headers={"ETag": etag(seen.policy.version)})


def outlook_out(seen: Outlook) -> dict[str, Any]:
    """Return what holds and what will go as it goes over the wire."""
    return {
        "customers_months": seen.policy.months,
        "due": _aged_out(seen.due),
        "within_30_days": _aged_out(seen.soon),
        "waiting": seen.waiting,
        "last_run_at": time_out(seen.last_run),
        "next_run_at": time_out(seen.next_run),
    }


def _aged_out(one: Aged) -> dict[str, int]:
    return {"persons": one.persons, "responses": one.responses}
