"""Themes: what customers talk about, how that changes, and the words behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey.handlers import meant_by
from services.loop.pages.corrections import done_just_now, may_correct
from services.loop.pages.labels import CAUSES, STATES, said
from services.loop.pages.site import pages, sheet
from services.loop.pages.themes import voices
from services.loop.pages.themes.asked import TABS, Asked
from services.loop.pages.themes.page import Linked, Place, Tab, ThemePage, ThemesPage, Where
from services.loop.pages.themes.reading import (
    choices_of,
    known,
    line_of,
    listed,
    names_of_places,
    score_of,
    senders_of,
)
from services.loop.resources import Loop
from services.loop.tasks.domain.task import OPEN, TaskState
from services.loop.tasks.handlers import learned_of
from services.loop.tasks.store import TaskFilter, counts_of
from services.loop.themes.domain.risers import Seen, first_needed, weeks_of
from services.loop.themes.handlers import current_taxonomy, find_theme
from services.loop.themes.handlers.impact import Cell, change, deviations
from services.loop.themes.handlers.listing import ThemeList, ThemeSummary
from services.loop.themes.store import Dimension, mentions_by_day
from services.loop.themes.store.rollups import DIMENSIONS
from shared.db.transaction import Reading
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.stats.intervals import share
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Option
from shared.web.paging import Paged
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[Principal, Depends(requires_page(Scope.THEMES_READ))]

_TOP: Final = 10
_WEEKS: Final = 26
_PAGES_BESIDE: Final[Mapping[str, str]] = {
    "/themes/rising": marked("Rising"),
    "/themes/new": marked("New words"),
}
_TITLES: Final[Mapping[Dimension, str]] = {
    "touchpoint": marked("Touchpoint"),
    "segment": marked("Segment"),
    "product": marked("Product"),
}


@router.get("/themes")
async def show_all(request: Request, caller: _Caller, page: Paged) -> Response:
    """Show the themes of a period, the most mentioned first, and the score beside them."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    now = loop.clock.now()
    asked = Asked.read(request, caller, now.date())
    async with loop.database.reading() as view:
        every = await known(view, asked)
        found = await listed(view, asked, every)
        shelf = voices.Shelf(
            person_keys=loop.person_keys,
            keyring=loop.keyring,
            caller=caller,
            page=page,
            href=asked.href,
        )
        context = ThemesPage(
            tab=asked.tab,
            tabs=_tabs(asked, found, reader),
            first=asked.first,
            last=asked.today,
            days=asked.days,
            now=now,
            filters=asked.form,
            choices=await choices_of(view, asked, reader, every.departments),
            narrowed=asked.is_narrowed,
            whole=f"/themes?{urlencode({'tab': asked.tab, 'department': ''})}",
            comments=found.comments,
            without=share(hits=found.without, n=found.comments),
            former_without=share(hits=found.former_without, n=found.former_comments),
            read_without=asked.href(tab="without"),
            lines=[line_of(one, asked, every, reader) for one in _of_tab(found, asked.tab)],
            voices=(
                await voices.of_nothing(view, shelf, now=now)
                if asked.tab == "without"
                else None
            ),
            senders=await senders_of(view, asked),
            nps=await score_of(view, asked, now=now),
            may_edit=caller.may(Scope.TAXONOMY_WRITE),
            where=asked.href("/themes/where", tab="", sort=""),
            json=asked.json,
            csv=asked.href("/themes.csv"),
        )
    return pages.render(request, "themes.html", context)


def _of_tab(found: ThemeList, tab: str) -> Sequence[ThemeSummary]:
    match tab:
        case "top":
            return found.themes[:_TOP]
        case "unassigned":
            return _unassigned(found)
        case "without":
            return ()
        case _:
            return found.themes


def _unassigned(found: ThemeList) -> Sequence[ThemeSummary]:
    return [one for one in found.themes if one.in_use and one.theme.department is None]


def _tabs(asked: Asked, found: ThemeList, reader: Reader) -> Sequence[Tab]:
    counts = {"all": len(found.themes), "unassigned": len(_unassigned(found))}
    own = [
        Tab(
            label=reader.gettext(label),
            href=asked.href(tab="" if name == "all" else name),
            current=asked.tab == name,
            count=counts.get(name),
        )
        for name, label in TABS.items()
    ]
    others = [
        Tab(label=reader.gettext(label), href=path, current=False)
        for path, label in _PAGES_BESIDE.items()
    ]
    return [*own, *others]


@router.get("/themes.csv")
async def file(request: Request, caller: _Caller) -> Response:
    """Return the same themes for a spreadsheet: counts, and nobody's words."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    asked = Asked.read(request, caller, loop.clock.now().date())
    async with loop.database.reading() as view:
        every = await known(view, asked)
        found = await listed(view, asked, every)
    lines = [line_of(one, asked, every, reader) for one in _of_tab(found, asked.tab)]
    columns = (
        "theme",
        "name",
        "department",
        "rank",
        "rank_before",
        "mentions",
        "comments",
        "mentions_before",
        "expected_range",
        "rated",
        "unhappy",
        "nps_points",
        "nps_points_low",
        "nps_points_high",
        "nps_answers",
    )
    return sheet(
        "themes",
        columns,
        [
            (
                line.id,
                line.name,
                line.department or "",
                line.rank or "",
                line.former_rank or "",
                line.mentions,
                found.comments,
                line.former,
                line.verdict.word if line.verdict else "",
                line.unhappy.n,
                _hits(line.unhappy.value, line.unhappy.n),
                *_points(line.impact.points, line.impact.ci95),
                line.impact.n,
            )
            for line in lines
        ],
    )


def _hits(part: float | None, n: int) -> int:
    return 0 if part is None else round(part * n)


def _points(points: float | None, ci95: tuple[float, float] | None) -> tuple[object, ...]:
    if points is None or ci95 is None:
        return "", "", ""
    return tuple(round(each, 1) for each in (points, *ci95))


@router.get("/themes/{theme_id}")
async def show(request: Request, theme_id: str, caller: _Caller, page: Paged) -> Response:
    """Show one theme: its numbers, where it stands out, and the latest words."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    now = loop.clock.now()
    asked = Asked.read(request, caller, now.date())
    path = f"/themes/{theme_id}"
    async with loop.database.reading() as view:
        summary = await find_theme(
            view, theme_id, first=asked.first, last=asked.today, of=asked.of
        )
        every = await known(view, asked)
        learned = await learned_of(
            view, (asked.first, asked.today), asked.places, theme=theme_id
        )
        context = ThemePage(
            line=line_of(summary, asked, every, reader),
            back=asked.href(),
            filters=asked.form,
            choices=await choices_of(view, asked, reader, every.departments),
            first=asked.first,
            last=asked.today,
            days=asked.days,
            now=now,
            weeks=await _weeks(view, theme_id, asked),
            where=[
                await _where(view, theme_id, by, asked, reader)
                for by in DIMENSIONS
                if by not in asked.of
            ],
            change=await change(
                view, theme_id, first=asked.first, last=asked.today, of=asked.of
            ),
            senders=await senders_of(view, asked, theme_id),
            voices=await voices.of_theme(
                view,
                theme_id,
                voices.Shelf(
                    person_keys=loop.person_keys,
                    keyring=loop.keyring,
                    caller=caller,
                    page=page,
                    href=partial(asked.href, path),
                ),
            ),
            others=await _others(view, theme_id, reader) if may_correct(caller) else (),
            here=f"{path}?{request.url.query}",
            done=done_just_now(request, theme_id, reader),
            linked=await _linked(view, theme_id, reader, now=now),
            learned=learned,
            causes=[
                (said(CAUSES, area, reader), learned.causes[area])
                for area in CAUSES
                if area in learned.causes
            ],
            examples="/examples?" + urlencode({"theme": theme_id}),
            edit=(
                "/settings/taxonomy/one?" + urlencode({"id": theme_id})
                if summary.in_use and caller.may(Scope.TAXONOMY_WRITE)
                else None
            ),
            csv=asked.href(f"{path}/weeks.csv"),
            json=f"/v1{path}?{urlencode(asked.period)}",
        )
    return pages.render(request, "theme.html", context)


@router.get("/themes/{theme_id}/weeks.csv")
async def weeks_file(request: Request, theme_id: str, caller: _Caller) -> Response:
    """Return the weeks of the chart for a spreadsheet."""
    loop = resources(request, Loop)
    today = loop.clock.now().date()
    asked = Asked.read(request, caller, today)
    async with loop.database.reading() as view:
        await find_theme(view, theme_id, first=asked.first, last=asked.today, of=asked.of)
        weeks = await _weeks(view, theme_id, asked)
    return sheet(
        "theme-weeks",
        ("from", "to", "mentions", "expected_from", "expected_to"),
        [
            (
                _first_of(week).isoformat(),
                week.last.isoformat(),
                week.mentions,
                *(week.expected or ("", "")),
            )
            for week in weeks
        ],
    )


async def _others(view: Reading, theme_id: str, reader: Reader) -> Sequence[Option]:
    taxonomy = (await current_taxonomy(view)).taxonomy
    options = [
        Option(value=theme.id, label=theme.name_in(reader.catalogue))
        for theme in taxonomy.in_use().themes
        if theme.id != theme_id
    ]
    return sorted(options, key=lambda option: option.label.casefold())


def _first_of(week: Seen) -> date:
    return week.last - timedelta(days=6)


async def _weeks(view: Reading, theme_id: str, asked: Asked) -> Sequence[Seen]:
    taxonomy = (await current_taxonomy(view)).taxonomy
    begin = first_needed(asked.today) - timedelta(weeks=_WEEKS)
    days = await mentions_by_day(
        view, first=begin, last=asked.today, of=await meant_by(view, asked.of)
    )
    families = {theme.id: theme.department or "" for theme in taxonomy.in_use().themes}
    return weeks_of(days, families, theme_id, last=asked.today, weeks=_WEEKS)


async def _where(
    view: Reading, theme_id: str, by: Dimension, asked: Asked, reader: Reader
) -> Where:
    cells = await deviations(
        view, theme_id, by, first=asked.first, last=asked.today, of=asked.of
    )
    names = await names_of_places(view, by, {cell.code for cell in cells}, reader)
    return Where(
        title=reader.gettext(_TITLES[by]),
        places=[_place(cell, by, theme_id, names[cell.code], asked) for cell in cells],
    )


def _place(cell: Cell, by: Dimension, theme_id: str, name: str, asked: Asked) -> Place:
    return Place(
        name=name,
        href=asked.href(f"/themes/{theme_id}", **{by: cell.code}),
        mentions=cell.mentions,
        share=cell.share,
        row=cell.row,
        deviates=cell.deviates,
        frequency=cell.frequency,
    )


async def _linked(
    view: Reading, theme_id: str, reader: Reader, *, now: datetime
) -> Sequence[Linked]:
    wanted = {
        "open": TaskFilter(theme=theme_id, states=OPEN),
        "late": TaskFilter(theme=theme_id, states=OPEN, overdue=True),
        **{
            state.value: TaskFilter(theme=theme_id, states=frozenset({state}))
            for state in (TaskState.RESOLVED, TaskState.CONFIRMED, TaskState.CLOSED)
        },
    }
    labels = {"open": marked("Open"), "late": marked("Late"), **STATES}
    counts = await counts_of(view, wanted, now=now)
    return [
        Linked(
            label=reader.gettext(labels[name]),
            count=counts[name],
            href="/?" + urlencode({"tab": tab, "theme": theme_id}),
        )
        for name, tab in (
            ("open", "open"),
            ("late", "overdue"),
            ("resolved", "closed"),
            ("confirmed", "closed"),
            ("closed", "closed"),
        )
    ]
