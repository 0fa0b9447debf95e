"""The queue as a page and as a file: both are the same rows, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.journey import store as journey
from services.loop.journey.handlers import names_of
from services.loop.pages.queue.asked import SCORES, TABS, Asked
from services.loop.pages.queue.lines import lines_of, theme_names
from services.loop.pages.queue.page import QueuePage, Tab
from services.loop.pages.queue.sheet import sheet_of
from services.loop.pages.site import done_of, pages
from services.loop.resources import Loop
from services.loop.tasks.handlers import queue, queue_counts
from services.loop.tasks.store import Counts, place_of
from services.loop.themes.handlers import current_taxonomy
from shared.db.transaction import Reading
from shared.i18n import Reader, marked
from shared.identity.groups import list_teams, teams_without_members
from shared.identity.principal import Principal, Role, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Form, Option
from shared.web.paging import Paged, encode_cursor
from shared.web.templating import home_of, reader_of

router = APIRouter(include_in_schema=False)

_Person = Annotated[Principal, Depends(requires_page())]
_Caller = Annotated[Principal, Depends(requires_page(Scope.TASKS_READ))]

DONE: Final[Mapping[str, str]] = {
    "claim": marked("The task is yours now."),
}
_LIMIT: Final = 50
_MOST_IN_A_FILE: Final = 2_000
_OF_ALL: Final = frozenset({Role.LEAD, Role.HEAD, Role.ADMIN})


@router.get("/")
async def show(request: Request, caller: _Person, page: Paged) -> Response:
    """Show the queue of the signed-in person, or one of its other parts.

    Everybody arrives here; those whose tasks are elsewhere are sent on to what is theirs.
    """
    if not caller.may(Scope.TASKS_READ):
        return RedirectResponse(home_of(caller), 303)
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
        segments = await names_of(view, "segment", reader.catalogue)
        offered = await journey.offered(view)
        themes = theme_names((await current_taxonomy(view)).taxonomy.themes, reader)
        lines = await lines_of(
            view, rows[:_LIMIT], names=names, segments=segments, themes=themes, now=now
        )
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
            (Option(value=code, label=label) for code, label in offered.items()),
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
        segments = await names_of(view, "segment", reader.catalogue)
        themes = theme_names((await current_taxonomy(view)).taxonomy.themes, reader)
        lines = await lines_of(
            view, rows, names=names, segments=segments, themes=themes, now=now
        )
    return Response(
        sheet_of(lines),
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


def _json(asked: Asked, caller: Principal) -> str:
    members = {
        "owner": caller.id if asked.tab == "mine" else "",
        "touchpoint": asked.touchpoint,
        "theme": asked.theme,
    }
    query = urlencode({name: value for name, value in members.items() if value})
    return f"/v1/tasks?{query}" if query else "/v1/tasks"
