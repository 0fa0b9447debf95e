"""The scores as a page and as a file: both are the same rows, read once."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey.domain import UNKNOWN
from services.loop.pages.labels import options, said
from services.loop.pages.scores.asked import (
    FILTERS,
    GROUPS,
    MEASUREMENTS,
    METRICS,
    WEEKS,
    Asked,
)
from services.loop.pages.scores.names import NOT_KNOWN, group_names, options_of
from services.loop.pages.scores.page import Column, Line, Narrowed, ScoresPage
from services.loop.pages.site import cell, pages
from services.loop.resources import Loop
from services.loop.responses.handlers import GroupedScore, scores
from shared.db.transaction import Reading
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.stats.scores import ScoreRow
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Form, Option
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[Principal, Depends(requires_page(Scope.SCORES_READ))]

_MOST: Final = 200
_CHOSEN: Final = ("touchpoint", "segment", "product", "channel")
_BANDS: Final = {
    "nps": (marked("Detractors"), marked("Passives"), marked("Promoters")),
    "csat": (marked("Dissatisfied"), marked("Neutral"), marked("Satisfied")),
    "ces": (marked("Dissatisfied"), marked("Neutral"), marked("Satisfied")),
}
_COLUMNS: Final = (
    "group",
    "name",
    "score",
    "low",
    "high",
    "n",
    "promoters",
    "passives",
    "detractors",
    "enough",
)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What was read for an address: the whole, the rows in their order, and all names."""

    whole: ScoreRow
    rows: Sequence[tuple[str, str, ScoreRow]]
    """Value, name and score of each group."""
    filters: Mapping[str, str]
    """What the values of the filters are called."""


@router.get("/scores")
async def show(request: Request, _caller: _Caller) -> Response:
    """Show scores by group, and above them what they come to together."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    asked = Asked.of_request(request, loop.clock.now().date())
    async with loop.database.reading() as view:
        found = await _read(view, loop, asked, reader)
        channels = await scores(view, asked.wanted, "channel", now=loop.clock.now())
        choices = [
            (
                name,
                reader.gettext(GROUPS[name]),
                await options_of(view, name, asked.of.get(name, ""), reader),
            )
            for name in _CHOSEN
            if name != "channel"
        ]
    choices.append(
        ("channel", reader.gettext(GROUPS["channel"]), _channels(channels, asked, reader))
    )
    context = ScoresPage(
        first=asked.first,
        last=asked.last,
        sentence=_sentence(found.whole, asked, reader),
        filters=Form(
            name="filter",
            values={
                "metric": asked.metric,
                "measurement": asked.measurement,
                "group": asked.group,
                "weeks": str(asked.weeks),
                **asked.of,
            },
        ),
        metrics=options(METRICS, reader),
        measurements=options(MEASUREMENTS, reader),
        groups=options(GROUPS, reader),
        # A period that a row led to holds until it is taken away.
        periods=[]
        if asked.days
        else [
            Option(
                value=str(weeks),
                label=reader.ngettext("last %(n)s week", "last %(n)s weeks", weeks),
            )
            for weeks in WEEKS
        ],
        choices=choices,
        hidden={
            name: value
            for name, value in asked.members.items()
            if name in {"from", "to", *FILTERS[4:]}
        },
        narrowed=[
            *_own_days(asked, reader),
            *_narrowed(asked, found, reader),
        ],
        bands=tuple(reader.gettext(band) for band in _BANDS[asked.metric]),  # type: ignore[arg-type] # three of them
        columns=_columns(asked, reader),
        lines=[_line(group, found.whole, asked, reader) for group in found.rows[:_MOST]],
        more=max(len(found.rows) - _MOST, 0),
        csv=asked.href("/scores.csv"),
        json=asked.json,
    )
    return pages.render(request, "scores.html", context)


@router.get("/scores.csv")
async def file(request: Request, _caller: _Caller) -> Response:
    """Return the same rows for a spreadsheet."""
    loop = resources(request, Loop)
    asked = Asked.of_request(request, loop.clock.now().date())
    async with loop.database.reading() as view:
        found = await _read(view, loop, asked, reader_of(request))
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for value, name, row in found.rows:
        low, high = row.ci95 or ("", "")
        counts = (row.n, row.promoters, row.passives, row.detractors)
        score = "" if row.score is None else row.score
        enough = "yes" if row.enough else "no"
        writer.writerow([cell(value), cell(name), score, low, high, *counts, enough])
    return Response(
        "\ufeff" + out.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="scores.csv"',
        },
    )


async def _read(view: Reading, loop: Loop, asked: Asked, reader: Reader) -> _Found:
    now = loop.clock.now()
    (whole,) = await scores(view, asked.wanted, now=now)
    grouped = await scores(view, asked.wanted, asked.group, now=now)
    values = [_value(one) for one in grouped]
    names = await group_names(view, asked.group, values, reader)
    filters = {
        name: (await group_names(view, name, [value], reader))[value]
        for name, value in asked.of.items()
    }
    rows = [(value, names[value], one.row) for value, one in zip(values, grouped, strict=True)]
    return _Found(whole=whole.row, rows=_sorted(rows, asked), filters=filters)


def _value(grouped: GroupedScore) -> str:
    return next(iter(grouped.group.values()))


def _sorted(
    rows: Sequence[tuple[str, str, ScoreRow]], asked: Asked
) -> Sequence[tuple[str, str, ScoreRow]]:
    """Sort the rows; what has too few answers for a number comes last among scores."""
    by, backwards = asked.sorted_by
    named = sorted(rows, key=lambda row: row[1].casefold())
    if by == "name":
        return named[::-1] if backwards else named
    if by == "n":
        return sorted(named, key=lambda row: -row[2].n if backwards else row[2].n)

    def place(row: tuple[str, str, ScoreRow]) -> tuple[bool, Any]:
        score = row[2].score if row[2].score is not None and row[2].enough else 0.0
        return not row[2].enough, -score if backwards else score

    return sorted(named, key=place)


def _line(
    group: tuple[str, str, ScoreRow], whole: ScoreRow, asked: Asked, reader: Reader
) -> Line:
    value, name, row = group
    return Line(
        name=name,
        href=asked.narrowed_to(value),
        score=_number(row.score, asked, reader) if row.enough else "",
        interval=_interval(row, asked, reader),
        beside=_beside(row, whole, reader),
        n=row.n,
        promoters=row.promoters,
        passives=row.passives,
        detractors=row.detractors,
    )


def _sentence(whole: ScoreRow, asked: Asked, reader: Reader) -> str:
    """Say in one sentence what all the answers together come to, with its margin."""
    metric = said(METRICS, asked.metric, reader)
    if whole.score is None:
        return reader.gettext("%(metric)s: no answers in this period.", metric=metric)
    if not whole.enough:
        return reader.ngettext(
            "%(metric)s: only %(n)s answer, too few to rely on.",
            "%(metric)s: only %(n)s answers, too few to rely on.",
            whole.n,
            metric=metric,
        )
    return reader.gettext(
        "%(metric)s %(score)s from %(n)s answers; with 95 %% certainty %(interval)s.",
        metric=metric,
        score=_number(whole.score, asked, reader),
        n=reader.number(whole.n),
        interval=_interval(whole, asked, reader),
    )


def _interval(row: ScoreRow, asked: Asked, reader: Reader) -> str:
    if row.ci95 is None:
        return ""
    low, high = (_number(end, asked, reader) for end in row.ci95)
    return reader.gettext("between %(low)s and %(high)s", low=low, high=high)


def _beside(row: ScoreRow, whole: ScoreRow, reader: Reader) -> str:
    """Say whether a score differs from that of all answers by more than chance."""
    if row.ci95 is None or whole.score is None or not row.enough or row.n == whole.n:
        return ""
    if row.ci95[0] > whole.score:
        return reader.gettext("higher than the whole")
    if row.ci95[1] < whole.score:
        return reader.gettext("lower than the whole")
    return reader.gettext("no clear difference")


def _number(value: float | None, asked: Asked, reader: Reader) -> str:
    if value is None:
        return ""
    return reader.signed(value, 1) if asked.metric == "nps" else reader.number(value, 2)


def _own_days(asked: Asked, reader: Reader) -> Sequence[Narrowed]:
    if asked.days is None:
        return []
    days = [reader.date(day) for day in asked.days]
    value = reader.gettext("%(first)s to %(last)s", first=days[0], last=days[1])
    without = asked.href(**{"from": "", "to": ""})
    return [Narrowed(label=reader.gettext("Period"), value=value, without=without)]


def _narrowed(asked: Asked, found: _Found, reader: Reader) -> Sequence[Narrowed]:
    return [
        Narrowed(
            label=reader.gettext(GROUPS[name]),
            value=found.filters[name],
            without=asked.href(**{name: ""}),
        )
        for name in FILTERS
        if name in asked.of
    ]


def _columns(asked: Asked, reader: Reader) -> Sequence[Column]:
    by, backwards = asked.sorted_by
    labels = {
        "name": reader.gettext(GROUPS[asked.group]),
        "score": reader.gettext("Score"),
        "n": reader.gettext("Answers"),
    }
    return [
        Column(
            name=name,
            label=label,
            href=asked.sorted_the_other_way(name),  # type: ignore[arg-type] # one of the three
            sorted=("descending" if backwards else "ascending") if by == name else "",
        )
        for name, label in labels.items()
    ]


def _channels(found: Sequence[GroupedScore], asked: Asked, reader: Reader) -> Sequence[Option]:
    values = ({_value(one) for one in found} | {asked.of.get("channel", "")}) - {"", UNKNOWN}
    return [
        *(Option(value=value, label=value) for value in sorted(values)),
        Option(value=UNKNOWN, label=reader.gettext(NOT_KNOWN)),
    ]
