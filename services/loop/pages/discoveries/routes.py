"""New words: groups of comments without a theme, each one click away from being one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.discoveries.page import Decided, DiscoveriesPage, Group
from services.loop.pages.journey.shared import department_options, refused
from services.loop.pages.site import done_of, pages
from services.loop.pages.themes.voices import said
from services.loop.resources import Loop
from services.loop.themes.domain.discoveries import Discovery
from services.loop.themes.handlers import current_taxonomy
from services.loop.themes.handlers.discoveries import (
    Voice,
    adopt,
    dismiss,
    nights,
    restore,
    shown_discoveries,
    typical_voices,
    watch_other,
)
from shared.errors import Conflict, Refused
from shared.i18n import marked
from shared.identity.principal import Principal, Scope
from shared.stats.intervals import share
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, read_form
from shared.web.paging import Page, Paged, encode_cursor
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Reader = Annotated[Principal, Depends(requires_page(Scope.THEMES_READ))]
_Writer = Annotated[Principal, Depends(requires_page(Scope.TAXONOMY_WRITE))]

DONE: Final[Mapping[str, str]] = {
    "adopted": marked("The theme is looked for in whatever arrives from now on."),
    "dismissed": marked("This group is not shown any more."),
    "restored": marked("The group is back."),
    "meanwhile": marked("Somebody decided about this group meanwhile."),
}
_PATH: Final = "/themes/new"
_OF: Final = "page/themes/new"
_AT_ONCE: Final = 20
_DECIDED: Final = 10
_WORDS: Final = 12


@router.get("/themes/new")
async def show(request: Request, caller: _Reader, page: Paged) -> Response:
    """Show what several nights found among comments without a theme."""
    return await _page(request, caller, page)


@router.post("/themes/new/{discovery_id}/adopt")
async def make_theme(request: Request, discovery_id: str, caller: _Writer) -> Response:
    """Make a theme of a group."""
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    name, department = fields.text("name", most=200), fields.optional("department", most=40)
    form = fields.form(discovery_id)
    if fields.errors:
        return await _page(request, caller, Page(), form=form, status=422)
    try:
        async with loop.database.transaction() as tx:
            await adopt(
                tx,
                discovery_id,
                name=name,
                department_id=department,
                theme_id=None,
                expected=None,
                by=caller,
                now=loop.clock.now(),
            )
    except Conflict:
        return _done("meanwhile")
    except Refused as refusal:
        form = refused(form, refusal, reader)
        return await _page(request, caller, Page(), form=form, status=refusal.status)
    return _done("adopted")


@router.post("/themes/new/{discovery_id}/dismiss")
async def show_no_more(request: Request, discovery_id: str, caller: _Writer) -> Response:
    """Say that a group is nothing."""
    loop = resources(request, Loop)
    try:
        async with loop.database.transaction() as tx:
            now = loop.clock.now()
            await dismiss(tx, discovery_id, expected=None, by=caller, now=now)
    except Conflict:
        return _done("meanwhile")
    return _done("dismissed")


@router.post("/themes/new/{discovery_id}/restore")
async def show_again(request: Request, discovery_id: str, caller: _Writer) -> Response:
    """Bring a dismissed group back."""
    loop = resources(request, Loop)
    try:
        async with loop.database.transaction() as tx:
            now = loop.clock.now()
            await restore(tx, discovery_id, expected=None, by=caller, now=now)
    except Conflict:
        return _done("meanwhile")
    return _done("restored")


def _done(what: str) -> Response:
    return RedirectResponse(f"{_PATH}?done={what}", 303)


async def _page(
    request: Request,
    caller: Principal,
    page: Page,
    *,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    loop, reader = resources(request, Loop), reader_of(request)
    now = loop.clock.now()
    after = page.after(loop.keyring, of=_OF)
    may_read = caller.may(Scope.TASKS_READ)
    async with loop.database.reading() as view:
        found = await shown_discoveries(
            view,
            "shown",
            after=(int(after[0]), after[1]) if after else None,
            most=_AT_ONCE + 1,
        )
        shown = found[:_AT_ONCE]
        voices = await typical_voices(view, loop.person_keys, shown, readable=may_read)
        taxonomy = (await current_taxonomy(view)).taxonomy
        names = {theme.id: theme.name_in(reader.catalogue) for theme in taxonomy.themes}
        dismissed, adopted = [
            _decided(await shown_discoveries(view, state, most=_DECIDED), names)
            for state in ("dismissed", "adopted")
        ]
        context = DiscoveriesPage(
            groups=[_group(one, voices[one.id] if may_read else (), form) for one in shown],
            older=_older(loop, found),
            newer=_PATH if after is not None else None,
            dismissed=dismissed,
            adopted=adopted,
            departments=await department_options(view),
            nights=await nights(view),
            watch=await watch_other(view, today=now.date()),
            may_read=may_read,
            may_write=caller.may(Scope.TAXONOMY_WRITE),
            now=now,
            done=done_of(request, DONE, reader) if status == 200 else "",
            just_adopted=status == 200 and request.query_params.get("done") == "adopted",
            json="/v1/discoveries",
        )
    return pages.render(request, "discoveries.html", context, status=status)


def _older(loop: Loop, found: Sequence[Discovery]) -> str | None:
    if len(found) <= _AT_ONCE:
        return None
    last = found[_AT_ONCE - 1]
    return f"{_PATH}?cursor={encode_cursor(loop.keyring, [last.size, last.id], of=_OF)}"


def _group(one: Discovery, voices: Sequence[Voice], form: Form | None) -> Group:
    return Group(
        found=one,
        unhappy=share(hits=one.low, n=one.rated),
        keywords=[word for words in one.keywords.values() for word in words][:_WORDS],
        said=[
            said(voice.response, voice.person) for voice in voices if voice.person is not None
        ],
        form=form
        if form is not None and form.name == one.id
        else Form(name=one.id, values={"name": one.label}),
    )


def _decided(found: Sequence[Discovery], names: Mapping[str, str]) -> Sequence[Decided]:
    return [
        Decided(found=one, theme=names.get(one.theme_id or "", one.theme_id or ""))
        for one in found
    ]
