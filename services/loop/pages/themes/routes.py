"""Themes: what customers talk about, how that changes, and the words behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey import store as journey
from services.loop.journey.handlers import meant_by
from services.loop.pages.shapes import Mark, Words, mark_of, words_of
from services.loop.pages.site import pages, sheet
from services.loop.resources import Loop
from services.loop.responses.domain import Personal
from services.loop.responses.handlers import open_persons, scores
from services.loop.responses.store import ScoreFilter, find_all
from services.loop.themes.domain.masking import masked, secrets_of
from services.loop.themes.handlers import ThemeSummary, find_theme, latest_mentions, list_themes
from services.loop.themes.store import Dimension, mentions_by_day
from shared.db.transaction import Reading
from shared.i18n import Reader
from shared.identity.principal import Principal, Scope
from shared.stats.scores import ScoreRow
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Form, Option
from shared.web.paging import Paged, encode_cursor
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[Principal, Depends(requires_page(Scope.THEMES_READ))]

PERIODS: Final = (7, 14, 28, 84, 182)
"""The periods one can choose, in days."""

_DEFAULT: Final = 28
_WEEKS: Final = 12
_VOICES: Final = 20


@dataclass(frozen=True, kw_only=True)
class Line:
    """One theme in a period."""

    rank: int
    id: str
    name: str
    in_use: bool
    href: str
    mentions: int
    share: float | None
    change: int
    former: int
    unhappy: float | None
    rated: int
    weeks: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class ThemesPage:
    """What the list of themes shows."""

    first: date
    last: date
    filters: Form
    periods: Sequence[Option]
    touchpoints: Sequence[Option]
    comments: int
    without: float | None
    former_without: float | None
    lines: Sequence[Line]
    nps: ScoreRow
    json: str
    csv: str


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One customer's words on a theme."""

    mark: Mark
    words: Words = field(repr=False)
    answered_at: datetime
    touchpoint: str | None


@dataclass(frozen=True, kw_only=True)
class ThemePage:
    """What the page of one theme shows."""

    line: Line
    filters: Form
    periods: Sequence[Option]
    touchpoints: Sequence[Option]
    now: datetime
    may_read: bool
    voices: Sequence[Voice]
    older: str | None
    newer: str | None
    department: str | None
    tasks: str
    examples: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the address asks for; whatever makes no sense is left out."""

    days: int
    touchpoint: str
    today: date

    @classmethod
    def of(cls, request: Request, today: date) -> Asked:
        """Read the query."""
        days = request.query_params.get("days", "")
        known = {str(period): period for period in PERIODS}
        return cls(
            days=known.get(days, _DEFAULT),
            touchpoint=request.query_params.get("touchpoint", "").strip()[:200],
            today=today,
        )

    @property
    def first(self) -> date:
        """Return the first day of the period."""
        return self.today - timedelta(days=self.days - 1)

    @property
    def narrowed(self) -> dict[Dimension, str]:
        """Return what the counts are narrowed to."""
        return {"touchpoint": self.touchpoint} if self.touchpoint else {}

    @property
    def form(self) -> Form:
        """Return the filter as it stands."""
        values = {"days": str(self.days), "touchpoint": self.touchpoint}
        return Form(name="filter", values=values)

    def href(self, path: str, **others: str) -> str:
        """Return an address for the same period and touchpoint."""
        members = {
            "days": "" if self.days == _DEFAULT else str(self.days),
            "touchpoint": self.touchpoint,
        } | others
        query = urlencode({name: value for name, value in members.items() if value})
        return f"{path}?{query}" if query else path


@router.get("/themes")
async def show_all(request: Request, _caller: _Caller) -> Response:
    """Show every theme of a period, the most mentioned first, and the score beside them."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    asked = Asked.of(request, loop.clock.now().date())
    async with loop.database.reading() as view:
        found = await list_themes(view, first=asked.first, last=asked.today, of=asked.narrowed)
        weekly = await _weekly(view, asked)
        overall = await scores(
            view,
            ScoreFilter(
                metric="nps",
                measurement="transactional",
                first=asked.first,
                last=asked.today,
                of={"touchpoint": asked.touchpoint} if asked.touchpoint else {},
            ),
            now=loop.clock.now(),
        )
        touchpoints = await _touchpoints(view)
    lines = [
        _line(summary, asked, weekly, reader, rank=rank)
        for rank, summary in enumerate(found.themes, start=1)
        if summary.counts.mentions or summary.former.mentions
    ]
    days = {"from": asked.first.isoformat(), "to": asked.today.isoformat()}
    if asked.touchpoint:
        days["touchpoint"] = asked.touchpoint
    context = ThemesPage(
        first=asked.first,
        last=asked.today,
        filters=asked.form,
        periods=_periods(reader),
        touchpoints=touchpoints,
        comments=found.comments,
        without=found.without / found.comments if found.comments else None,
        former_without=(
            found.former_without / found.former_comments if found.former_comments else None
        ),
        lines=lines,
        nps=overall[0].row,
        json=f"/v1/themes?{urlencode(days)}",
        csv=asked.href("/themes.csv"),
    )
    return pages.render(request, "themes.html", context)


@router.get("/themes.csv")
async def file(request: Request, _caller: _Caller) -> Response:
    """Return the same themes for a spreadsheet: counts, and nobody's words."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    asked = Asked.of(request, loop.clock.now().date())
    async with loop.database.reading() as view:
        found = await list_themes(view, first=asked.first, last=asked.today, of=asked.narrowed)
    columns = (
        "theme",
        "name",
        "mentions",
        "comments",
        "mentions_before",
        "comments_before",
        "rated",
        "unhappy",
        "happy",
    )
    return sheet(
        "themes",
        columns,
        [
            (
                one.theme.id,
                one.theme.name_in(reader.catalogue),
                one.counts.mentions,
                one.comments,
                one.former.mentions,
                one.former_comments,
                one.counts.rated,
                one.counts.low,
                one.counts.high,
            )
            for one in found.themes
            if one.counts.mentions or one.former.mentions
        ],
    )


@router.get("/themes/{theme_id}")
async def show(request: Request, theme_id: str, caller: _Caller, page: Paged) -> Response:
    """Show one theme: its numbers, and for those who may read tasks the latest words."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    now = loop.clock.now()
    asked = Asked.of(request, now.date())
    may_read = caller.may(Scope.TASKS_READ)
    name = f"page/themes/{theme_id}"
    after = page.after(loop.keyring, of=name)
    path = f"/themes/{theme_id}"
    async with loop.database.reading() as view:
        summary = await find_theme(
            view, theme_id, first=asked.first, last=asked.today, of=asked.narrowed
        )
        weekly = await _weekly(view, asked)
        mentions = (
            await latest_mentions(
                view,
                theme_id,
                before=(datetime.fromisoformat(after[0]), after[1]) if after else None,
                most=_VOICES + 1,
            )
            if may_read
            else []
        )
        shown = mentions[:_VOICES]
        answers = await find_all(view, [mention.response_id for mention in shown])
        persons = await open_persons(view, loop.person_keys, list(answers.values()))
        names = await journey.named(view)
        touchpoints = await _touchpoints(view)
    more = len(mentions) > _VOICES
    last = [shown[-1].answered_at.isoformat(), shown[-1].response_id] if more else []
    context = ThemePage(
        line=_line(summary, asked, weekly, reader, rank=0),
        filters=asked.form,
        periods=_periods(reader),
        touchpoints=touchpoints,
        now=now,
        may_read=may_read,
        voices=[
            Voice(
                mark=mark_of(answer.metric, answer.score),
                words=_without_customer(
                    words_of(persons.get(answer.id), answer.language, [mention.evidence]),
                    persons.get(answer.id),
                ),
                answered_at=answer.answered_at,
                touchpoint=names.get(answer.touchpoint or "", answer.touchpoint),
            )
            for mention in shown
            if (answer := answers.get(mention.response_id)) is not None
        ],
        older=(
            asked.href(path, cursor=encode_cursor(loop.keyring, last, of=name))
            if more
            else None
        ),
        newer=asked.href(path) if after is not None else None,
        department=summary.theme.department,
        tasks="/?" + urlencode({"tab": "open", "theme": theme_id}),
        examples="/examples?" + urlencode({"theme": theme_id}),
    )
    return pages.render(request, "theme.html", context)


def _without_customer(words: Words, person: Personal | None) -> Words:
    """Cover up who it was: what customers talk about is for many, who they are is not."""
    if person is None:
        return words
    secrets = secrets_of(person.customer, person.attributes, person.transaction_id)
    return replace(
        words,
        text=masked(words.text, secrets),
        pieces=tuple(
            replace(piece, text=masked(piece.text, secrets) or "") for piece in words.pieces
        ),
    )


def _line(
    summary: ThemeSummary,
    asked: Asked,
    weekly: Mapping[str, Sequence[int]],
    reader: Reader,
    *,
    rank: int,
) -> Line:
    theme = summary.theme
    return Line(
        rank=rank,
        id=theme.id,
        name=theme.name_in(reader.catalogue),
        in_use=summary.in_use,
        href=asked.href(f"/themes/{theme.id}"),
        mentions=summary.counts.mentions,
        share=summary.counts.mentions / summary.comments if summary.comments else None,
        change=summary.counts.mentions - summary.former.mentions,
        former=summary.former.mentions,
        unhappy=(summary.counts.low / summary.counts.rated if summary.counts.rated else None),
        rated=summary.counts.rated,
        weeks=weekly.get(theme.id, [0] * _WEEKS),
    )


async def _weekly(view: Reading, asked: Asked) -> Mapping[str, Sequence[int]]:
    """Return the mentions of the last twelve weeks, each ending on today's weekday."""
    first = asked.today - timedelta(days=7 * _WEEKS - 1)
    meant = await meant_by(view, asked.narrowed)
    found = await mentions_by_day(view, first=first, last=asked.today, of=meant)
    weekly = {}
    for theme_id, days in found.items():
        weeks = [0] * _WEEKS
        for day, number in days.items():
            weeks[(day - first).days // 7] += number
        weekly[theme_id] = weeks
    return weekly


async def _touchpoints(view: Reading) -> Sequence[Option]:
    found = await journey.offered(view)
    options = [Option(value=code, label=name) for code, name in found.items()]
    return sorted(options, key=lambda option: option.label.casefold())


def _periods(reader: Reader) -> Sequence[Option]:
    return [
        Option(
            value=str(days),
            label=(
                reader.ngettext("last %(n)s day", "last %(n)s days", days)
                if days < 28
                else reader.ngettext("last %(n)s week", "last %(n)s weeks", days // 7)
            ),
        )
        for days in PERIODS
    ]
