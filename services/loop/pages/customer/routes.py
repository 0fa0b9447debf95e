"""A customer's page, and the same events as a file; whoever looks is written down."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey import store as journey
from services.loop.pages.customer.reading import PARTS, happened, page_of
from services.loop.pages.site import cell, pages
from services.loop.resources import Loop
from services.loop.tasks.handlers import look_at_customer
from shared.identity import audit
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[Principal, Depends(requires_page(Scope.TASKS_READ))]
_COLUMNS: Final = ("at", "kind", "what", "by", "detail", "score", "words")


@router.get("/customers/{ref}")
async def show(request: Request, ref: str, caller: _Caller) -> Response:
    """Show a customer; of another team's only what happened, and when."""
    loop = resources(request, Loop)
    now = loop.clock.now()
    part = request.query_params.get("part", "all")
    async with loop.database.transaction() as tx:
        seen = await look_at_customer(
            tx, ref, caller=caller, person_keys=loop.person_keys, now=now
        )
        names = await journey.named(tx)
    context = page_of(
        seen,
        part if part in PARTS else "all",
        touchpoints=names,
        reader=reader_of(request),
        now=now,
    )
    if caller.may(Scope.PERSONS_WRITE):
        context = replace(context, privacy=f"/settings/privacy?{urlencode({'ref': ref})}")
    return pages.render(request, "customer.html", context)


@router.get("/customers/{ref}/events.csv")
async def file(request: Request, ref: str, caller: _Caller) -> Response:
    """Return everything that happened for a spreadsheet."""
    loop = resources(request, Loop)
    now = loop.clock.now()
    async with loop.database.transaction() as tx:
        seen = await look_at_customer(
            tx, ref, caller=caller, person_keys=loop.person_keys, now=now
        )
        names = await journey.named(tx)
        await audit.record(tx, caller, "list.exported", ref, {"format": "csv"}, now=now)
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for event in happened(seen, touchpoints=names, reader=reader_of(request), now=now):
        said = [event.words.text or "", *(f"{each.label}: {each.text}" for each in event.said)]
        score = event.mark.score if event.mark else None
        writer.writerow(
            map(
                cell,
                [
                    event.at.isoformat(),
                    event.kind,
                    event.what,
                    event.by,
                    event.detail,
                    "" if score is None else str(score),
                    "\n".join(text for text in said if text),
                ],
            )
        )
    return Response(
        "\ufeff" + out.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="customer.csv"',
        },
    )
