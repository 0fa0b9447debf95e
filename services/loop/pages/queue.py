"""My queue: whom to call next. What breaks first stands first, in the customer's own words."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from io import StringIO
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey import store as journey
from services.loop.pages.labels import STATES
from services.loop.pages.shapes import (
    Clock,
    Customer,
    Mark,
    Words,
    customer_of,
    mark_of,
    words_of,
)
from services.loop.pages.site import done_of, pages
from services.loop.resources import Loop
from services.loop.responses.store import find_all
from services.loop.tasks.domain.task import ENDED, OPEN, FollowUpTask, TaskState
from services.loop.tasks.handlers import QueueRow, TaskView, queue, queue_counts
from services.loop.tasks.store import Counts, Order, TaskFilter, place_of
from services.loop.themes.domain import Theme
from services.loop.themes.handlers import current_taxonomy
from shared.db.transaction import Reading
from shared.i18n import Reader, marked
from shared.identity.people import list_teams, teams_without_members
from shared.identity.principal import Principal, Role, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Form, Option
from shared.web.paging import Paged, encode_cursor
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[Principal, Depends(requires_page(Scope.TASKS_READ))]

TABS: Final[Mapping[str, str]] = {
    "todo": marked("To do"),
    "mine": marked("Mine"),
    "team": marked("My team, unclaimed"),
    "waiting": marked("Waiting for the customer"),
    "open": marked("All open"),
    "closed": marked("Closed"),
}
SCORES: Final[Mapping[str, tuple[int, int] | None]] = {
    "0-3": (0, 3),
    "4-6": (4, 6),
    "7-10": (7, 10),
    "none": None,
}
DONE: Final[Mapping[str, str]] = {
    "claim": marked("The task is yours now."),
}
_LIMIT: Final = 50
_COLUMNS: Final = (
    "task",
    "customer",
    "score",
    "words",
    "themes",
    "touchpoint",
    "segment",
    "owner",
    "state",
    "steps",
    "tries",
    "due_at",
    "late",
    "customer_waits_hours",
)
_MOST_IN_A_FILE: Final = 2_000
_OF_ALL: Final = frozenset({Role.LEAD, Role.HEAD, Role.ADMIN})


@dataclass(frozen=True, kw_only=True)
class Tab:
    """A part of the queue."""

    label: str
    href: str
    current: bool
    count: int | None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One task of the queue."""

    id: str
    version: int
    href: str
    mark: Mark
    customer: Customer
    restricted: bool
    words: Words = field(repr=False)
    themes: Sequence[str]
    touchpoint: str | None
    segment: str | None
    owner: str
    unclaimed: bool
    state: str
    letters: str
    tries: int
    repeat: bool
    clock: Clock | None
    """The promise that breaks next; None for a task that has ended."""
    first_contact: bool
    """Whether that promise is the first contact."""
    ended_at: datetime | None
    in_time: bool
    waits: timedelta


@dataclass(frozen=True, kw_only=True)
class QueuePage:
    """What the queue shows."""

    title: str
    tab: str
    tabs: Sequence[Tab]
    counts: Counts
    filters: Form
    filtered: bool
    touchpoints: Sequence[Option]
    scores: Sequence[Option]
    themes: Sequence[Option]
    lines: Sequence[Line]
    position: str
    newer: str | None
    older: str | None
    json: str
    csv: str
    here: str
    now: datetime
    done: str
    may_act: bool


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the address asks for; whatever makes no sense is left out, for people edit it."""

    tab: str
    touchpoint: str
    score: str
    theme: str

    @classmethod
    def of(cls, request: Request) -> Asked:
        """Read the query."""
        given = request.query_params

        def text(name: str) -> str:
            return given.get(name, "").strip()[:200]

        tab, score = text("tab"), text("score")
        return cls(
            tab=tab if tab in TABS else "todo",
            touchpoint=text("touchpoint"),
            score=score if score in SCORES else "",
            theme=text("theme"),
        )

    def href(self, path: str = "/", **others: str) -> str:
        """Return the address that asks for this, with changes."""
        members = {
            "tab": "" if self.tab == "todo" else self.tab,
            "touchpoint": self.touchpoint,
            "score": self.score,
            "theme": self.theme,
        } | others
        query = urlencode({name: value for name, value in members.items() if value})
        return f"{path}?{query}" if query else path

    @property
    def order(self) -> Order:
        """Return by what the list is ordered."""
        return "ended" if self.tab == "closed" else "due"

    @property
    def filtered(self) -> bool:
        """Tell whether less than a whole tab is asked for."""
        return bool(self.touchpoint or self.score or self.theme)

    def wanted(self, caller: Principal) -> TaskFilter:
        """Return the tasks that this asks for, seen by ``caller``."""
        owners = {
            "todo": caller.teams | {caller.id},
            "mine": frozenset({caller.id}),
            "team": caller.teams,
            "waiting": caller.teams | {caller.id},
        }
        states = {"closed": ENDED, "waiting": frozenset({TaskState.WAITING_CUSTOMER})}
        band = SCORES.get(self.score)
        return TaskFilter(
            states=states.get(self.tab, OPEN),
            owners=owners.get(self.tab),
            touchpoint=self.touchpoint or None,
            theme=self.theme or None,
            scores=band,
            scored=False if self.score == "none" else None,
        )


@router.get("/")
async def show(request: Request, caller: _Caller, page: Paged) -> Response:
    """Show the queue of the signed-in person, or one of its other parts."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    now = loop.clock.now()
    asked = Asked.of(request)
    name = f"page{asked.href()}"
    after = page.after(loop.keyring, of=name)
    async with loop.database.reading() as view:
        member = await with_teams(view, caller)
        counts = await queue_counts(view, caller=member, now=now)
        rows = await queue(
            view,
            asked.wanted(member),
            caller=caller,
            person_keys=loop.person_keys,
            now=now,
            after=after,
            most=_LIMIT + 1,
            order=asked.order,
        )
        names = await journey.named(view)
        codes = [found.code for found in await journey.page_of(view, after=None, most=200)]
        themes = _theme_names((await current_taxonomy(view)).taxonomy.themes, reader)
        lines = await _lines(view, rows[:_LIMIT], names=names, themes=themes, now=now)
    more = len(rows) > _LIMIT
    last = place_of(rows[_LIMIT - 1].view.task, asked.order) if more else ()
    context = QueuePage(
        title=_title(asked, counts, reader),
        tab=asked.tab,
        tabs=_tabs(asked, counts, reader),
        counts=counts,
        filters=Form(
            name="filter",
            values={
                "touchpoint": asked.touchpoint,
                "score": asked.score,
                "theme": asked.theme,
            },
        ),
        filtered=asked.filtered,
        touchpoints=sorted(
            (Option(value=code, label=names.get(code, code)) for code in codes),
            key=lambda option: option.label.casefold(),
        ),
        scores=_score_options(reader),
        themes=sorted(
            (Option(value=theme_id, label=label) for theme_id, label in themes.items()),
            key=lambda option: option.label.casefold(),
        ),
        lines=lines,
        position=reader.ngettext("%(n)s task", "%(n)s tasks", len(lines)),
        newer=asked.href() if after is not None else None,
        older=asked.href(cursor=encode_cursor(loop.keyring, last, of=name)) if more else None,
        json=_json(asked, caller),
        csv=asked.href("/queue.csv"),
        here=asked.href(),
        now=now,
        done=done_of(request, DONE, reader),
        may_act=caller.may(Scope.TASKS_WRITE),
    )
    return pages.render(request, "queue.html", context)


@router.get("/queue.csv")
async def file(request: Request, caller: _Caller) -> Response:
    """Return the same rows for a spreadsheet, at most 2,000."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    now = loop.clock.now()
    asked = Asked.of(request)
    async with loop.database.reading() as view:
        member = await with_teams(view, caller)
        rows = await queue(
            view,
            asked.wanted(member),
            caller=caller,
            person_keys=loop.person_keys,
            now=now,
            after=None,
            most=_MOST_IN_A_FILE,
            order=asked.order,
        )
        names = await journey.named(view)
        themes = _theme_names((await current_taxonomy(view)).taxonomy.themes, reader)
        lines = await _lines(view, rows, names=names, themes=themes, now=now)
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    writer.writerows(map(_cells, lines))
    return Response(
        "\ufeff" + out.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="queue.csv"',
        },
    )


async def with_teams(view: Reading, caller: Principal) -> Principal:
    """Return the caller with the teams whose unclaimed tasks are theirs to take.

    Beside their own these are, for whoever leads, all teams, and for everybody those without
    members, so that no task waits where nobody looks.
    """
    if caller.role in _OF_ALL:
        teams = frozenset(team.id for team in await list_teams(view))
    else:
        teams = await teams_without_members(view)
    return replace(caller, teams=caller.teams | teams)


def _title(asked: Asked, counts: Counts, reader: Reader) -> str:
    title = reader.gettext("My queue")
    return f"{title} ({counts.mine + counts.team})" if asked.tab == "todo" else title


def _tabs(asked: Asked, counts: Counts, reader: Reader) -> Sequence[Tab]:
    numbers = {
        "todo": counts.mine + counts.team,
        "mine": counts.mine,
        "team": counts.team,
    }
    return [
        Tab(
            label=reader.gettext(label),
            href=replace(asked, tab=name).href(),
            current=name == asked.tab,
            count=numbers.get(name),
        )
        for name, label in TABS.items()
    ]


def _score_options(reader: Reader) -> Sequence[Option]:
    return [
        Option(
            value=value,
            label=reader.gettext("%(low)s to %(high)s", low=band[0], high=band[1])
            if band
            else reader.gettext("no score"),
        )
        for value, band in SCORES.items()
    ]


def _theme_names(themes: Sequence[Theme], reader: Reader) -> Mapping[str, str]:
    return {theme.id: theme.name_in(reader.catalogue) for theme in themes}


def _json(asked: Asked, caller: Principal) -> str:
    members = {
        "owner": caller.id if asked.tab == "mine" else "",
        "touchpoint": asked.touchpoint,
        "theme": asked.theme,
    }
    query = urlencode({name: value for name, value in members.items() if value})
    return f"/v1/tasks?{query}" if query else "/v1/tasks"


async def _lines(
    view: Reading,
    rows: Sequence[QueueRow],
    *,
    names: Mapping[str, str],
    themes: Mapping[str, str],
    now: datetime,
) -> Sequence[Line]:
    tasks = [row.view.task for row in rows]
    responses = await find_all(view, [task.response_id for task in tasks])
    languages = {found.id: found.language for found in responses.values()}
    return [
        _line(
            row,
            now=now,
            language=languages.get(row.view.task.response_id),
            touchpoint=names.get(row.view.task.touchpoint or "", row.view.task.touchpoint),
            themes=[themes.get(found.theme_id, found.theme_id) for found in row.view.themes],
        )
        for row in rows
    ]


def _line(
    row: QueueRow,
    *,
    now: datetime,
    language: str | None,
    touchpoint: str | None,
    themes: Sequence[str],
) -> Line:
    seen = row.view
    task = seen.task
    return Line(
        id=task.id,
        version=task.version,
        href=f"/tasks/{task.id}",
        mark=mark_of(task.metric, task.score),
        customer=replace(customer_of(seen.personal), erased=seen.erased),
        restricted=seen.restricted,
        words=_words(seen, language),
        themes=themes,
        touchpoint=touchpoint,
        segment=task.segment,
        owner=seen.owner.name,
        unclaimed=not task.is_claimed,
        state=STATES[task.state],
        letters=row.letters,
        tries=row.tries,
        repeat=row.repeat,
        clock=Clock(at=task.next_due_at, now=now) if task.is_open else None,
        first_contact=row.next_promise == "first_contact",
        ended_at=task.ended_at,
        in_time=_in_time(task),
        waits=row.customer_waits,
    )


def _words(seen: TaskView, language: str | None) -> Words:
    if seen.restricted:
        return Words()
    if seen.erased:
        return Words(erased=True)
    return words_of(seen.personal, language) if seen.personal else Words()


def _in_time(task: FollowUpTask) -> bool:
    return task.ended_at is not None and task.ended_at <= task.due_at


def _cells(line: Line) -> Sequence[str]:
    return list(
        map(
            _cell,
            [
                line.id,
                line.customer.name or "",
                "" if line.mark.score is None else str(line.mark.score),
                line.words.text or "",
                "; ".join(line.themes),
                line.touchpoint or "",
                line.segment or "",
                line.owner,
                line.state,
                line.letters,
                str(line.tries),
                line.clock.at.isoformat() if line.clock else "",
                "yes" if line.clock and line.clock.late else "no",
                f"{line.waits / timedelta(hours=1):.1f}",
            ],
        )
    )


def _cell(text: str) -> str:
    """Keep a spreadsheet from reading a customer's words as a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
