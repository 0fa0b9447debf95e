"""``/v1/risers``: which themes rise beyond what was to be expected."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from services.loop.resources import Loop
from services.loop.themes.api.riser_documents import RiserList, shown_riser
from services.loop.themes.domain.risers import EARLIEST, LATEST, monday_of
from services.loop.themes.handlers.risers import ranked
from shared.identity.principal import Principal, Scope
from shared.stats.rising import Word
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce

router = APIRouter(tags=["themes"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.THEMES_READ))]


@router.get(
    "/v1/risers",
    response_model=RiserList,
    summary="List which themes rise beyond what was to be expected",
)
async def get_risers(
    request: Request,
    caller: _Reader,
    page: Paged,
    *,
    week: Annotated[
        date | None,
        Query(
            ge=EARLIEST,
            le=LATEST,
            description="any day of it; the default is the latest that is over",
        ),
    ] = None,
    department: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    verdict: Annotated[Word | None, Query(description="only these")] = None,
) -> dict[str, object]:
    """List a verdict on each theme in a calendar week (UTC days, from Monday).

    A theme is judged among those of its department, beside the eight weeks before, by how much
    weeks differ anyway. At most one in ten of those called beyond is wrong on average. Where a
    week can tell nothing, four are judged together.
    """
    loop = resources(request, Loop)
    of = f"risers?{week}&{department}&{verdict}"
    after = page.after(loop.keyring, of=of)
    async with loop.database.reading() as view:
        found = await ranked(view, week=week, department=department, now=loop.clock.now())
    rows = [
        (place, theme, one)
        for place, (theme, one) in enumerate(found.themes)
        if verdict in {None, one.word}
    ]
    if after is not None:
        rows = [row for row in rows if row[0] > after[0]]
    return {
        "week": monday_of(found.week),
        **listed(
            rows,
            page,
            show=lambda row: shown_riser(row[1], row[2], caller.language),
            key=lambda row: [row[0]],
            keyring=loop.keyring,
            of=of,
        ),
    }
