"""``/v1/retention``: how long things are kept, and what will be forgotten."""

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
from shared.identity.retention import KINDS, PERIODS, Counts
from shared.web.access import resources
from shared.web.documents import body_of, read_as
from shared.web.query import EachOnce
from shared.web.versions import etag, expected_version

router = APIRouter(tags=["persons"])

PATH: Final = "/v1/retention"


def _period(name: str, about: str) -> Any:  # noqa: ANN401 - what pydantic calls a field
    may = PERIODS[name]
    text = f"{about}; null: for ever; left out: as it is"
    return Field(ge=may.least, le=may.most, description=text)


class RetentionIn(BaseModel):
    """How long things are to be kept; what is left out stays as it is."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    customers_months: Annotated[
        int | None,
        _period("customers_months", "counted from the acceptance of each response"),
    ] = None
    deliveries_months: Annotated[
        int | None,
        _period("deliveries_months", "mails and calls of webhooks, with captured mail"),
    ] = None
    dead_letters_days: Annotated[
        int | None,
        _period("dead_letters_days", "records that could not be handled, once settled"),
    ] = None
    audit_months: Annotated[
        int | None,
        _period("audit_months", "lines of the audit trail"),
    ] = None
    confirm: Annotated[
        bool, Field(description="true: a shorter period may forget something for good")
    ] = False


class AgedOut(TypedDict):
    """How much goes."""

    persons: int
    responses: int


class CountedOut(TypedDict):
    """How much of a kind goes."""

    due: int
    within_30_days: int
    counted_at: datetime


class OthersOut(TypedDict):
    """What goes besides customers' data; null: kept for ever, or not counted yet."""

    deliveries: CountedOut | None
    dead_letters: CountedOut | None
    audit: CountedOut | None


class RetentionOut(TypedDict):
    """How long things are kept, and what will be forgotten."""

    customers_months: int | None
    deliveries_months: int | None
    dead_letters_days: int | None
    audit_months: int | None
    due: Annotated[AgedOut, Field(description="what the next run forgets")]
    within_30_days: Annotated[AgedOut, Field(description="what has gone by then, due included")]
    waiting: Annotated[
        int, Field(description="persons whose time is over and whose open task needs them")
    ]
    last_run_at: datetime | None
    next_run_at: datetime | None
    others: Annotated[
        OthersOut, Field(description="counted once an hour by the service that holds them")
    ]


@router.get(
    PATH,
    dependencies=[EachOnce],
    summary="How long things are kept, and what will be forgotten",
    responses=answers(RetentionOut),
)
async def get_retention(request: Request, _caller: Looker) -> JSONResponse:
    """Return the periods, what is due by them, and when; their version is the ETag."""
    ingest = resources(request, Ingest)
    async with ingest.database.reading() as view:
        return _answer(await retention.outlook(view, now=ingest.clock.now()))


@router.put(
    PATH,
    summary="Change how long things are kept",
    openapi_extra=body_of(RetentionIn),
    responses=answers(RetentionOut),
)
async def put_retention(request: Request, caller: Keeper) -> JSONResponse:
    """Let other periods hold; a shorter one that forgets something takes ``confirm``."""
    ingest = resources(request, Ingest)
    sent = await read_as(request, RetentionIn)
    now = ingest.clock.now()
    async with ingest.database.transaction() as tx:
        await retention.change_policy(
            tx,
            {name: getattr(sent, name) for name in sent.model_fields_set & PERIODS.keys()},
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
        **seen.policy.periods(),
        "due": _aged_out(seen.due),
        "within_30_days": _aged_out(seen.soon),
        "waiting": seen.waiting,
        "last_run_at": time_out(seen.last_run),
        "next_run_at": time_out(seen.next_run),
        "others": {kind: _counted_out(seen.others.get(kind)) for kind in KINDS},
    }


def _counted_out(one: Counts | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"due": one.due, "within_30_days": one.soon, "counted_at": time_out(one.at)}


def _aged_out(one: Aged) -> dict[str, int]:
    return {"persons": one.persons, "responses": one.responses}
