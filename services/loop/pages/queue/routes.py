"""The queue as a page and as a file: both are the same rows, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.queue.asked import TABS, Asked
from services.loop.pages.queue.choices import choices_for, names_for
from services.loop.pages.queue.lines import lines_of
from services.loop.pages.queue.page import Kept, QueuePage, Tab, Undo
from services.loop.pages.queue.sheet import sheet_of
from services.loop.pages.site import done_of, pages
from services.loop.pages.welcome.steps import open_steps
from services.loop.resources import Loop
from services.loop.tasks import store
from services.loop.tasks.handlers import (
    Counts,
    counts_of,
    find_undoable,
    note_looks,
    note_looks_in,
    queue,
    reach_of,
    wanted_of,
)
from services.loop.tasks.handlers.saving import may_forget
from services.loop.tasks.handlers.sight import LEADING
from services.loop.tasks.store import MOST_COUNTED, place_of
from shared.db.transaction import Reading
from shared.i18n import Reader, marked
from shared.identity import audit
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Form
from shared.web.paging import DEFAULT_LIMIT, Page, Paged, encode_cursor
from shared.web.query import whole_number
from shared.web.templating import home_of, reader_of

router = APIRouter(include_in_schema=False)

_Person = Annotated[Principal, Depends(requires_page())]
_Caller = Annotated[Principal, Depends(requires_page(Scope.TASKS_READ))]

DONE: Final[Mapping[str, str]] = {
    "claim": marked("The task is yours now."),
    "nothing-next": marked("No task waits for somebody now."),
    "undo": marked("It is taken back."),
    "saved": marked("The view is saved."),
    "unnamed": marked("The view was not saved: it needs a name of at most 80 characters."),
    "forgotten": marked("The saved view is deleted."),
}
_MOST_IN_A_FILE: Final = 2_000


@router.get("/")
async def show(request: Request, caller: _Person, page: Paged) -> Response:
    """Show the queue of the signed-in person, or one of its other views.

    Everybody arrives here; those whose tasks are elsewhere are sent on to what is theirs.
    """
    if not caller.may(Scope.TASKS_READ):
        return RedirectResponse(home_of(caller), 303)
    loop = resources(request, Loop)
    reader = reader_of(request)
    now = loop.clock.now()
    asked = Asked.of(request.query_params)
    name = f"page{asked.href()}#{page.limit}"
    after = page.after(loop.keyring, of=name)
    async with loop.database.reading() as view:
        if asked.q.startswith("tsk_") and await store.find(view, asked.q) is not None:
            return RedirectResponse(f"/tasks/{asked.q}", 303)
        counts = await counts_of(view, caller, await reach_of(view, caller), now=now)
        wanted = await wanted_of(view, asked.sought, caller, keyring=loop.keyring, now=now)
        rows = await queue(
            view,
            wanted,
            caller=caller,
            person_keys=loop.person_keys,
            now=now,
            after=after,
            most=page.limit + 1,
            order=asked.order,
        )
        names = await names_for(view, reader)
        choices = await choices_for(view, names, reader)
        lines = await lines_of(view, rows[: page.limit], names=names, now=now)
        kept = await store.saved_views_of(view, caller.id)
        since = await store.latest_id(view)
        undo = await _undo(request, view, caller, now=now)
        steps = 0 if rows or asked.filtered else await open_steps(view, caller, now=now)
    await note_looks(
        loop.database,
        [row.view for row in rows[: page.limit]],
        by=caller,
        via="search" if wanted.terms else "queue",
        now=now,
    )
    more = len(rows) > page.limit
    last = place_of(rows[page.limit - 1].view.task, asked.order) if more else ()
    context = QueuePage(
        title=_title(asked, counts, reader),
        tab=asked.tab,
        tabs=_tabs(asked, counts, reader),
        mine=counts.views["mine"],
        late=counts.late,
        due_soon=counts.due_soon,
        unclaimed=counts.views["team"],
        filters=Form(name="filter", values=asked.members),
        filtered=asked.filtered,
        narrowed=bool(set(asked.members) - {"q"}),
        whole=Asked(tab=asked.tab).href(),
        choices=choices,
        lines=lines,
        position=reader.ngettext("%(n)s task", "%(n)s tasks", len(lines)),
        newer=asked.href() if after is not None else None,
        older=(
            asked.href(cursor=encode_cursor(loop.keyring, last, of=name), limit=_limit(page))
            if more
            else None
        ),
        json=asked.json,
        csv=asked.href("/queue.csv"),
        here=asked.href(),
        news=asked.href("/queue/news", since=since),
        kept=[
            Kept(
                id=saved.id,
                name=saved.name,
                href=Asked.read(saved.query).href(),
                shared=saved.shared,
                may_forget=may_forget(saved, caller),
            )
            for saved in kept
        ],
        may_share=caller.role in LEADING,
        now=now,
        done=done_of(request, DONE, reader),
        undo=undo,
        picked=request.query_params.get("pick") == "all",
        pick_all=asked.href(pick="all", cursor=page.cursor or "", limit=_limit(page)),
        may_act=caller.may(Scope.TASKS_WRITE),
        first_steps=steps,
    )
    return pages.render(request, "queue.html", context)


@router.get("/queue.csv")
async def file(request: Request, caller: _Caller) -> Response:
    """Return the same rows for a spreadsheet, at most 2,000."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    now = loop.clock.now()
    asked = Asked.of(request.query_params)
    async with loop.database.reading() as view:
        rows = await queue(
            view,
            await wanted_of(view, asked.sought, caller, keyring=loop.keyring, now=now),
            caller=caller,
            person_keys=loop.person_keys,
            now=now,
            after=None,
            most=_MOST_IN_A_FILE,
            order=asked.order,
        )
        names = await names_for(view, reader)
        lines = await lines_of(view, rows, names=names, now=now)
    async with loop.database.transaction() as tx:
        await note_looks_in(tx, [row.view for row in rows], by=caller, via="file", now=now)
        detail = {"format": "csv", "tasks": len(rows)}
        await audit.record(tx, caller, "list.exported", "tasks", detail, now=now)
    return Response(
        sheet_of(lines),
        media_type="text/csv; charset=utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="queue.csv"',
        },
    )


def _limit(page: Page) -> str:
    return "" if page.limit == DEFAULT_LIMIT else str(page.limit)


async def _undo(
    request: Request, view: Reading, caller: Principal, *, now: datetime
) -> Undo | None:
    """Return what was done before this page and can be taken back."""
    bulk = await find_undoable(view, request.query_params.get("bulk", ""), by=caller, now=now)
    if bulk is None:
        return None
    return Undo(
        id=bulk.id,
        done=len(bulk.done),
        skipped=whole_number(request.query_params.get("skipped", ""), digits=4) or 0,
    )


def _title(asked: Asked, counts: Counts, reader: Reader) -> str:
    """Return the view's name, with how many tasks it holds."""
    name = "My queue" if asked.tab == "todo" else TABS[asked.tab]
    title = reader.gettext(name)
    number = _number(counts, asked.tab, reader)
    return f"{title} ({number})" if number else title


def _tabs(asked: Asked, counts: Counts, reader: Reader) -> Sequence[Tab]:
    return [
        Tab(
            label=reader.gettext(label),
            href=replace(asked, tab=name).href(),
            current=name == asked.tab,
            count=_number(counts, name, reader),
        )
        for name, label in TABS.items()
    ]


def _number(counts: Counts, name: str, reader: Reader) -> str:
    found = counts.views.get(name)
    if found is None:
        return ""
    if found > MOST_COUNTED:
        return f"{reader.number(MOST_COUNTED)}+"
    return reader.number(found)
