"""Rising themes of a week, and what people decide about looking into them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Final, get_args

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.journey.shared import owner_options, owner_ref, refused
from services.loop.pages.labels import options
from services.loop.pages.risers.page import Line, Proposal, RisersPage
from services.loop.pages.site import done_of, pages
from services.loop.pages.themes.page import Said
from services.loop.pages.themes.voices import said
from services.loop.resources import Loop
from services.loop.responses.handlers import open_persons
from services.loop.responses.store import find_all
from services.loop.themes.domain.outer_items import OuterItem, Reason
from services.loop.themes.domain.risers import EARLIEST, LATEST
from services.loop.themes.handlers import current_taxonomy
from services.loop.themes.handlers.departments import may_decide
from services.loop.themes.handlers.outer_items import (
    accept_item,
    dismiss_item,
    list_outer_items,
    merge_item,
    reopen_item,
)
from services.loop.themes.handlers.risers import ranked
from shared.db.transaction import Reading, Transaction
from shared.errors import Conflict, Forbidden, NotFound, Refused, Stale
from shared.i18n import Reader, marked
from shared.identity.groups import list_departments
from shared.identity.owners import owners
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[Principal, Depends(requires_page(Scope.THEMES_READ))]
_Decider = Annotated[Principal, Depends(requires_page(Scope.TASKS_WRITE))]

DONE: Final[Mapping[str, str]] = {
    "accepted": marked("It is being looked into."),
    "dismissed": marked("It is not looked into. You can take that back below."),
    "merged": marked("Both are one now. You can take that back below."),
    "reopened": marked("It is proposed again."),
    "meanwhile": marked("Somebody decided about this meanwhile."),
}
REASONS: Final[Mapping[str, str]] = {
    "known": marked("The cause is known"),
    "one_off": marked("It passes by itself"),
    "no_problem": marked("It is no problem"),
    "wrong_words": marked("The words mean something else"),
}
_PATH: Final = "/themes/rising"
_SHOWN: Final = 50
_DECIDED: Final = 10
_WEEK: Final = timedelta(weeks=1)

Act = Callable[[Transaction, datetime], Awaitable[OuterItem]]


@router.get("/themes/rising")
async def show(request: Request, caller: _Caller) -> Response:
    """Show which themes rise, and what is to be decided because of it."""
    return await _page(request, caller)


@router.post("/themes/rising/{item_id}/accept")
async def accept(request: Request, item_id: str, caller: _Decider) -> Response:
    """Look into it; the field ``owner`` says who does."""
    fields = Fields(await read_form(request), reader_of(request))
    owner = fields.optional("owner", most=40)

    async def act(tx: Transaction, now: datetime) -> OuterItem:
        return await accept_item(
            tx,
            item_id,
            owner=owner_ref(owner) if owner else None,
            expected=fields.whole("version"),
            by=caller,
            now=now,
        )

    return await _decided(request, caller, fields, act, of=item_id, done="accepted")


@router.post("/themes/rising/{item_id}/dismiss")
async def dismiss(request: Request, item_id: str, caller: _Decider) -> Response:
    """Do not look into it; the field ``reason`` says why."""
    fields = Fields(await read_form(request), reader_of(request))
    reason: Reason = fields.choice("reason", get_args(Reason))  # type: ignore[assignment] # or an error

    async def act(tx: Transaction, now: datetime) -> OuterItem:
        expected = fields.whole("version")
        return await dismiss_item(
            tx, item_id, reason=reason, expected=expected, by=caller, now=now
        )

    return await _decided(request, caller, fields, act, of=item_id, done="dismissed")


@router.post("/themes/rising/{item_id}/merge")
async def merge(request: Request, item_id: str, caller: _Decider) -> Response:
    """Make it a part of the open item that the field ``into`` names."""
    fields = Fields(await read_form(request), reader_of(request))
    into = fields.text("into", most=40)

    async def act(tx: Transaction, now: datetime) -> OuterItem:
        expected = fields.whole("version")
        return await merge_item(tx, item_id, into=into, expected=expected, by=caller, now=now)

    return await _decided(request, caller, fields, act, of=item_id, done="merged")


@router.post("/themes/rising/{item_id}/reopen")
async def reopen(request: Request, item_id: str, caller: _Decider) -> Response:
    """Take back what was decided."""
    fields = Fields(await read_form(request), reader_of(request))

    async def act(tx: Transaction, now: datetime) -> OuterItem:
        expected = fields.whole("version")
        return await reopen_item(tx, item_id, expected=expected, by=caller, now=now)

    return await _decided(request, caller, fields, act, of=item_id, done="reopened")


async def _decided(
    request: Request, caller: Principal, fields: Fields, act: Act, *, of: str, done: str
) -> Response:
    loop, reader = resources(request, Loop), reader_of(request)
    form = fields.form(of)
    if fields.errors:
        return await _page(request, caller, form=form, status=422)
    try:
        async with loop.database.transaction() as tx:
            await act(tx, loop.clock.now())
    except (Forbidden, NotFound):
        raise
    except (Conflict, Stale):
        done = "meanwhile"
    except Refused as refusal:
        form = refused(form, refusal, reader)
        return await _page(request, caller, form=form, status=refusal.status)
    return RedirectResponse(f"{_PATH}?done={done}", 303)


async def _page(
    request: Request, caller: Principal, *, form: Form | None = None, status: int = 200
) -> Response:
    loop, reader = resources(request, Loop), reader_of(request)
    now = loop.clock.now()
    may_read = caller.may(Scope.TASKS_READ)
    async with loop.database.reading() as view:
        found = await ranked(view, week=_week(request), now=now)
        latest = (await ranked(view, now=now)).week
        parts = {part.id: part.name for part in await list_departments(view)}
        shelf = _Shelf(view, loop, caller, reader, parts=parts, form=form)
        proposed, accepted = [
            await list_outer_items(view, state=state, most=_SHOWN)
            for state in ("proposed", "accepted")
        ]
        decided = [
            *await list_outer_items(view, state="dismissed", most=_DECIDED),
            *await list_outer_items(view, state="merged", most=_DECIDED),
        ]
        open_items = [*proposed, *accepted]
        context = RisersPage(
            first=found.week,
            last=found.week + _WEEK - timedelta(days=1),
            earlier=_href(found.week - _WEEK),
            later=None if found.week >= latest else _href(found.week + _WEEK),
            lines=[
                Line(
                    id=theme.id,
                    name=theme.name_in(reader.catalogue),
                    department=parts.get(theme.department or "", theme.department or ""),
                    verdict=verdict,
                )
                for theme, verdict in found.themes
                if verdict.word == "beyond"
            ],
            inside=sum(one.word == "inside" for _, one in found.themes),
            too_few=sum(one.word == "too_few" for _, one in found.themes),
            proposed=await shelf.proposals(proposed, open_items),
            accepted=await shelf.proposals(accepted, open_items),
            decided=await shelf.proposals(decided, open_items),
            owners=await owner_options(view),
            reasons=options(REASONS, reader),
            may_read=may_read,
            now=now,
            done=done_of(request, DONE, reader) if status == 200 else "",
            json=f"/v1/risers?week={found.week}",
        )
    return pages.render(request, "risers.html", context, status=status)


class _Shelf:
    """What it takes to show items: names, and the words of customers."""

    def __init__(
        self,
        view: Reading,
        loop: Loop,
        caller: Principal,
        reader: Reader,
        *,
        parts: Mapping[str, str],
        form: Form | None,
    ) -> None:
        self._view, self._loop, self._caller, self._reader = view, loop, caller, reader
        self._parts, self._form = parts, form

    async def proposals(
        self, items: Sequence[OuterItem], open_items: Sequence[OuterItem]
    ) -> Sequence[Proposal]:
        """Return items as the page shows them, with what they can be merged into."""
        themes = (await current_taxonomy(self._view)).taxonomy.themes
        names = {theme.id: theme.name_in(self._reader.catalogue) for theme in themes}
        people = await owners(self._view, [one.owner.id for one in items if one.owner])
        targets = {one.id: names.get(one.theme_id, one.theme_id) for one in open_items}
        return [
            Proposal(
                item=one,
                theme=names.get(one.theme_id, one.theme_id),
                department=self._parts.get(one.department, one.department),
                owner=people[one.owner.id].name if one.owner and one.owner.id in people else "",
                reason=self._reader.gettext(REASONS[one.reason]) if one.reason else "",
                into=targets.get(one.merged_into or "", ""),
                said=await self._said(one) if one.is_open else (),
                others=[
                    Option(value=key, label=name)
                    for key, name in targets.items()
                    if key != one.id
                ],
                form=self._form
                if self._form is not None and self._form.name == one.id
                else Form(name=one.id),
                may_decide=await may_decide(
                    self._view, self._caller, one.department, now=self._loop.clock.now()
                ),
            )
            for one in items
        ]

    async def _said(self, item: OuterItem) -> Sequence[Said]:
        if not self._caller.may(Scope.TASKS_READ):
            return ()
        answers = await find_all(self._view, item.evidence.response_ids)
        persons = await open_persons(self._view, self._loop.person_keys, list(answers.values()))
        return [
            said(answer, persons.get(answer.id))
            for response_id in item.evidence.response_ids
            if (answer := answers.get(response_id)) is not None
        ]


def _week(request: Request) -> date | None:
    """Return the week that the address asks for; what is no day asks for none."""
    try:
        found = date.fromisoformat(request.query_params.get("week", ""))
    except ValueError:
        return None
    return found if EARLIEST <= found <= LATEST else None


def _href(week: date) -> str:
    return f"{_PATH}?week={week}"
