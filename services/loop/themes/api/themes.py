"""``/v1/themes``: what customers talk about, and the words that decided so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, TypedDict

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from services.loop.resources import Loop
from services.loop.responses.domain import Personal, Response
from services.loop.responses.handlers import open_persons
from services.loop.responses.store import find_all
from services.loop.themes.handlers import (
    Order,
    find_theme,
    latest_mentions,
    list_themes,
    place_of,
)
from services.loop.themes.handlers.impact import change, deviations, sources
from services.loop.themes.schemas import (
    ThemeDetail,
    ThemeList,
    shown,
    shown_cells,
    shown_change,
    shown_mention,
    shown_sources,
    shown_without,
)
from services.loop.themes.store import DIMENSIONS, Dimension, Measurement
from shared.db.transaction import Reading
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce, Period


class Wanted(TypedDict):
    """Which mentions, and whose scores."""

    first: date
    last: date
    of: dict[Dimension, str]
    measurement: Measurement


router = APIRouter(tags=["themes"], dependencies=[EachOnce])
_Reader = Annotated[Principal, Depends(requires(Scope.THEMES_READ))]
_Filter = Annotated[str | None, Query(min_length=1, max_length=200)]


def narrowed(
    touchpoint: _Filter = None, segment: _Filter = None, product: _Filter = None
) -> dict[Dimension, str]:
    """Return what the query narrows the counts to."""
    given: dict[Dimension, str | None] = {
        "touchpoint": touchpoint,
        "segment": segment,
        "product": product,
    }
    return {name: value for name, value in given.items() if value is not None}


_Of = Annotated[dict[Dimension, str], Depends(narrowed)]


@router.get(
    "/v1/themes",
    response_model=ThemeList,
    summary="List themes with how often customers mention them",
)
async def get_themes(
    request: Request,
    caller: _Reader,
    page: Paged,
    days: Period,
    *,
    of: _Of,
    department: _Filter = None,
    sort: Order = "mentions",
    measurement: Measurement = "transactional",
) -> dict[str, object]:
    """List themes, the most mentioned first, beside the period of equal length before.

    ``sort=cost`` puts first what costs most points of the score, ``lift`` what brings most,
    ``promoters`` what happy customers mention most; ``limit=10`` is the top ten. Points are of
    the scores of one kind of measurement, mentions of all.
    Days are UTC; the default is the last twelve weeks. What a sender left out is “unknown”.
    """
    loop = resources(request, Loop)
    first, last = days
    name = f"themes?{first}&{last}&{department}&{sort}&{measurement}&{sorted(of.items())}"
    after = page.after(loop.keyring, of=name)
    async with loop.database.reading() as view:
        found = await list_themes(
            view,
            first=first,
            last=last,
            of=of,
            department=department,
            order=sort,
            measurement=measurement,
        )
        senders = await sources(view, first=first, last=last, of=of)
    rows = found.themes
    if after is not None:
        rows = [row for row in rows if place_of(row, sort) > after]
    return {
        "from": found.first,
        "to": found.last,
        "comments": found.comments,
        "without_theme": shown_without(found),
        "sources": shown_sources(senders),
        **listed(
            rows,
            page,
            show=lambda row: shown(row, caller.language),
            key=lambda row: place_of(row, sort),
            keyring=loop.keyring,
            of=name,
        ),
    }


@router.get(
    "/v1/themes/{theme_id}",
    response_model=ThemeDetail,
    summary="Read one theme with the words that decided so",
)
async def get_theme(
    request: Request,
    theme_id: str,
    caller: _Reader,
    *,
    page: Paged,
    days: Period,
    of: _Of,
    measurement: Measurement = "transactional",
) -> dict[str, object]:
    """Return one theme in a period, and the latest responses that touch it, of any time.

    Beside what it costs: where it is mentioned and where that deviates, who sent the mentions,
    and how it explains the change of the score since the period of equal length before.
    The customers' words are there for callers who may read tasks; staff read them with names,
    addresses and numbers covered up, and then without the place of the evidence.
    """
    loop = resources(request, Loop)
    first, last = days
    name = f"mentions?{theme_id}"
    after = page.after(loop.keyring, of=name)
    async with loop.database.reading() as view:
        wanted = Wanted(first=first, last=last, of=of, measurement=measurement)
        summary = await find_theme(view, theme_id, **wanted)
        matrix = {by: await deviations(view, theme_id, by, **wanted) for by in DIMENSIONS}
        senders = await sources(view, theme_id, first=first, last=last, of=of)
        explained = await change(view, theme_id, **wanted)
        mentions = await latest_mentions(
            view,
            theme_id,
            before=(_moment(after[0]), after[1]) if after else None,
            most=page.limit + 1,
        )
        responses = await find_all(view, [mention.response_id for mention in mentions])
        readable = caller.may(Scope.TASKS_READ)
        persons = await _persons(view, loop, list(responses.values()), readable=readable)
    part = listed(
        mentions,
        page,
        show=lambda mention: shown_mention(
            mention,
            responses[mention.response_id],
            persons.get(mention.response_id),
            readable=readable,
            covered=caller.kind == "staff",
        ),
        key=lambda mention: [mention.answered_at.isoformat(), mention.response_id],
        keyring=loop.keyring,
        of=name,
    )
    return {
        "from": first,
        "to": last,
        **shown(summary, caller.language),
        "matrix": {by: shown_cells(by, cells) for by, cells in matrix.items()},
        "sources": shown_sources(senders),
        "decomposition": shown_change(explained),
        "latest": part.pop("data"),
        **part,
    }


async def _persons(
    view: Reading, loop: Loop, responses: Sequence[Response], *, readable: bool
) -> Mapping[str, Personal]:
    """Open what may be read; for others it is enough to know that there is something."""
    if not readable:
        return {response.id: Personal() for response in responses}
    return await open_persons(view, loop.person_keys, responses)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
