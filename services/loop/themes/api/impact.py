"""``/v1/theme-matrix`` and ``/v1/theme-impacts``: all themes beside one another."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from services.loop.resources import Loop
from services.loop.themes.api.impact_documents import (
    ThemeImpactList,
    ThemeMatrix,
    shown_points,
)
from services.loop.themes.api.themes import Wanted, narrowed
from services.loop.themes.handlers import ThemeSummary, list_themes, place_of
from services.loop.themes.handlers.impact import matrix, own_parts
from services.loop.themes.schemas import shown_cells, shown_impact
from services.loop.themes.store import Dimension, Measurement
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce, Period

router = APIRouter(tags=["themes"], dependencies=[EachOnce])
_Reader = Annotated[Principal, Depends(requires(Scope.THEMES_READ))]
_Of = Annotated[dict[Dimension, str], Depends(narrowed)]


@router.get(
    "/v1/theme-matrix",
    response_model=ThemeMatrix,
    summary="Read where every theme is mentioned and deviates",
)
async def get_matrix(
    request: Request,
    caller: _Reader,
    page: Paged,
    days: Period,
    *,
    of: _Of,
    by: Dimension = "touchpoint",
    measurement: Measurement = "transactional",
) -> dict[str, object]:
    """Return every theme per touchpoint, segment or product, the most mentioned first.

    What deviates is decided for the cells of all themes together (Benjamini-Hochberg,
    q = 0.10). Days are UTC; the default is the last twelve weeks.
    """
    loop = resources(request, Loop)
    first, last = days
    name = f"theme-matrix?{first}&{last}&{by}&{measurement}&{sorted(of.items())}"
    after = page.after(loop.keyring, of=name)
    async with loop.database.reading() as view:
        wanted = Wanted(first=first, last=last, of=of, measurement=measurement)
        found = await list_themes(view, **wanted)
        cells = await matrix(view, by, **wanted)
    rows = [one for one in found.themes if one.theme.id in cells]
    if after is not None:
        rows = [row for row in rows if place_of(row) > after]
    return {
        "from": first,
        "to": last,
        "by": by,
        **listed(
            rows,
            page,
            show=lambda row: {
                **_named(row, caller),
                "cells": shown_cells(by, cells[row.theme.id]),
            },
            key=place_of,
            keyring=loop.keyring,
            of=name,
        ),
    }


@router.get(
    "/v1/theme-impacts",
    response_model=ThemeImpactList,
    summary="Read what every theme costs, alone and of its own",
)
async def get_impacts(
    request: Request,
    caller: _Reader,
    page: Paged,
    days: Period,
    *,
    of: _Of,
    measurement: Measurement = "transactional",
) -> dict[str, object]:
    """Return what themes cost or bring, the most mentioned first, in two ways.

    ``impact`` leaves one theme out after the other, so what two themes share counts for both.
    ``own`` is from a ridge regression on all themes at once, with robust errors (HC3), of the
    latest 5,000 comments: what the theme does while the others are held still. Both are
    association, not cause, and only those who wrote a comment are in them.
    """
    loop = resources(request, Loop)
    first, last = days
    name = f"theme-impacts?{first}&{last}&{measurement}&{sorted(of.items())}"
    after = page.after(loop.keyring, of=name)
    async with loop.database.reading() as view:
        wanted = Wanted(first=first, last=last, of=of, measurement=measurement)
        found = await list_themes(view, **wanted)
        own = await own_parts(view, **wanted)
    rows = [one for one in found.themes if one.counts.mentions > 0]
    if after is not None:
        rows = [row for row in rows if place_of(row) > after]
    return {
        "from": first,
        "to": last,
        "n": own.n,
        **listed(
            rows,
            page,
            show=lambda row: {
                **_named(row, caller),
                "impact": shown_impact(row.impact),
                "own": shown_points(own.parts.get(row.theme.id)),
            },
            key=place_of,
            keyring=loop.keyring,
            of=name,
        ),
    }


def _named(one: ThemeSummary, caller: Principal) -> dict[str, object]:
    return {
        "id": one.theme.id,
        "name": one.theme.name_in(caller.language),
        "mentions": one.counts.mentions,
    }
