"""Where themes stand out: every theme per touchpoint, segment or product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.pages.scores.names import group_names
from services.loop.pages.site import pages, sheet
from services.loop.pages.themes.asked import Asked
from services.loop.pages.themes.page import Choices
from services.loop.pages.themes.reading import Known, choices_of, known, listed
from services.loop.resources import Loop
from services.loop.themes.handlers.impact import Cell, matrix
from services.loop.themes.handlers.listing import ThemeSummary
from services.loop.themes.store import DIMENSIONS, Dimension
from shared.db.transaction import Reading
from shared.i18n import marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Form, Option
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[Principal, Depends(requires_page(Scope.THEMES_READ))]

_PATH: Final = "/themes/where"
_ROWS: Final = 20
_COLUMNS: Final = 6
_TITLES: Final[Mapping[Dimension, str]] = {
    "touchpoint": marked("Touchpoint"),
    "segment": marked("Segment"),
    "product": marked("Product"),
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One touchpoint, segment or product."""

    name: str
    comments: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """One theme; a cell is None where nobody mentioned it."""

    name: str
    href: str
    mentions: int
    cells: Sequence[Cell | None]


@dataclass(frozen=True, kw_only=True)
class MatrixPage:
    """What the page of where themes stand out shows."""

    first: date
    last: date
    filters: Form
    choices: Choices
    dimensions: Sequence[Option]
    back: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    more: bool
    """Whether the file holds themes or places that the page leaves out."""
    json: str
    csv: str


@dataclass(frozen=True, kw_only=True)
class _Found:
    asked: Asked
    known: Known
    by: Dimension
    themes: Sequence[ThemeSummary]
    cells: Mapping[str, Mapping[str, Cell]]
    """By theme and code."""
    codes: Sequence[str]
    """Where most comments are from first."""
    names: Mapping[str, str]


@router.get(_PATH)
async def show(request: Request, caller: _Caller) -> Response:
    """Show the themes mentioned most, where most comments are from."""
    reader = reader_of(request)
    async with resources(request, Loop).database.reading() as view:
        found = await _found(view, request, caller)
        choices = await choices_of(view, found.asked, reader, found.known.departments)
    asked, by = found.asked, found.by
    columns, themes = found.codes[:_COLUMNS], found.themes[:_ROWS]
    comments = {code: c.comments for row in found.cells.values() for code, c in row.items()}
    context = MatrixPage(
        first=asked.first,
        last=asked.today,
        filters=Form(name="filter", values={**asked.form.values, "by": by}),
        choices=choices,
        dimensions=[
            Option(value=name, label=reader.gettext(label)) for name, label in _TITLES.items()
        ],
        back=asked.href(),
        columns=[Column(name=found.names[code], comments=comments[code]) for code in columns],
        rows=[
            Row(
                name=one.theme.name_in(reader.catalogue),
                href=asked.href(f"/themes/{one.theme.id}", tab="", sort=""),
                mentions=one.counts.mentions,
                cells=[found.cells[one.theme.id].get(code) for code in columns],
            )
            for one in themes
        ],
        more=len(found.codes) > len(columns) or len(found.themes) > len(themes),
        json=f"/v1/theme-matrix?{urlencode({'by': by, **asked.period})}",
        csv=asked.href(f"{_PATH}.csv", by=by),
    )
    return pages.render(request, "theme_matrix.html", context)


@router.get(f"{_PATH}.csv")
async def file(request: Request, caller: _Caller) -> Response:
    """Return every cell for a spreadsheet."""
    reader = reader_of(request)
    async with resources(request, Loop).database.reading() as view:
        found = await _found(view, request, caller)
    return sheet(
        "theme-matrix",
        (
            "theme",
            "name",
            found.by,
            "mentions",
            "comments",
            "nps",
            "nps_low",
            "nps_high",
            "nps_n",
            "score_deviates",
            "frequency",
        ),
        [
            (
                one.theme.id,
                one.theme.name_in(reader.catalogue),
                found.names[code],
                cell.mentions,
                cell.comments,
                cell.row.score,
                *(cell.row.ci95 or (None, None)),
                cell.row.n,
                cell.deviates,
                cell.frequency,
            )
            for one in found.themes
            for code in found.codes
            if (cell := found.cells[one.theme.id].get(code)) is not None
        ],
    )


async def _found(view: Reading, request: Request, caller: Principal) -> _Found:
    today = resources(request, Loop).clock.now().date()
    asked = Asked.read(request, caller, today)
    given = request.query_params.get("by", "")
    by: Dimension = given if given in DIMENSIONS else "touchpoint"
    every = await known(view, asked)
    summaries = (await listed(view, asked, every)).themes
    rows = await matrix(view, by, first=asked.first, last=asked.today, of=asked.of)
    cells = {theme: {cell.code: cell for cell in row} for theme, row in rows.items()}
    themes = [one for one in summaries if one.theme.id in cells]
    shown = [cell for one in themes for cell in rows[one.theme.id]]
    comments = {cell.code: cell.comments for cell in shown}
    return _Found(
        asked=asked,
        known=every,
        by=by,
        themes=themes,
        cells=cells,
        codes=sorted(comments, key=lambda code: (-comments[code], code)),
        names=await group_names(view, by, set(comments), reader_of(request)),
    )
