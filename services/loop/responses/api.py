"""``GET /v1/scores``: what the answers add up to, never without their number and interval."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from services.loop.resources import Loop
from services.loop.responses.handlers import GroupBy, GroupedScore, scores
from services.loop.responses.schemas import ScoreList
from services.loop.responses.store import Dimension, Duty, ScoreFilter
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce, Period

router = APIRouter(prefix="/v1/scores", tags=["scores"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.SCORES_READ))]
_Filter = Annotated[str | None, Query(min_length=1, max_length=200)]


def _of(
    touchpoint: _Filter = None,
    segment: _Filter = None,
    product: _Filter = None,
    channel: _Filter = None,
    reason: _Filter = None,
    *,
    department: _Filter = None,
    owner: _Filter = None,
) -> dict[Dimension | Duty, str]:
    given: dict[Dimension | Duty, str | None] = {
        "touchpoint": touchpoint,
        "segment": segment,
        "product": product,
        "channel": channel,
        "reason": reason,
        "department": department,
        "owner": owner,
    }
    return {name: value for name, value in given.items() if value is not None}


@router.get("", response_model=ScoreList, summary="Read scores by group")
async def get_scores(
    request: Request,
    _caller: _Reader,
    page: Paged,
    days: Period,
    of: Annotated[dict[Dimension | Duty, str], Depends(_of)],
    *,
    metric: Literal["nps", "csat", "ces"] = "nps",
    measurement: Literal["transactional", "periodic", "unsolicited"] = "transactional",
    group_by: GroupBy | None = None,
) -> dict[str, object]:
    """Return scores of one metric and one kind of measurement, by group.

    Days are UTC; the default is the last twelve weeks. What a sender left out is “unknown”.
    Codes that stand for another one count as that one. Departments and owners, by their ids,
    are those that answer for the touchpoint now, whoever did when the answer came; of
    touchpoints without one they are “unknown”.
    """
    loop = resources(request, Loop)
    first, last = days
    wanted = ScoreFilter(metric=metric, measurement=measurement, first=first, last=last, of=of)
    name = f"scores?{metric}&{measurement}&{group_by}&{first}&{last}&{sorted(of.items())}"
    after = page.after(loop.keyring, of=name)
    async with loop.database.reading() as view:
        rows = await scores(view, wanted, group_by, now=loop.clock.now())
    if after is not None:
        rows = [row for row in rows if _value(row) > after[0]]
    return {
        "metric": metric,
        "measurement": measurement,
        "from": first,
        "to": last,
        **listed(
            rows,
            page,
            show=lambda row: {"group": row.group, **row.row.as_document()},
            key=lambda row: [_value(row)],
            keyring=loop.keyring,
            of=name,
        ),
    }


def _value(row: GroupedScore) -> str:
    return next(iter(row.group.values()), "")
