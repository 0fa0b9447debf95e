"""Changing the taxonomy by forms: every change goes into the draft first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.taxonomy import words
from services.loop.pages.taxonomy.fields import theme_of, tongues
from services.loop.pages.taxonomy.reading import (
    PATH,
    departments_of,
    taxonomy_page,
    theme_page,
    tried_on,
)
from services.loop.resources import Loop
from services.loop.themes.domain import Taxonomy, Theme, parse_taxonomy
from services.loop.themes.domain.differing import differences
from services.loop.themes.domain.revising import (
    brought_back,
    changed,
    free_id,
    known,
    merged,
    retired,
    split,
    with_theme,
)
from services.loop.themes.domain.taxonomy import LONGEST_NAME, MOST_BYTES
from services.loop.themes.handlers.drafting import (
    Edit,
    bring_up_to_date,
    change_draft,
    discard_draft,
    edited_taxonomy,
    publish_draft,
    restore_taxonomy,
)
from shared.db.transaction import Transaction
from shared.errors import Invalid, NotFound, Refused, Stale
from shared.i18n import Reader
from shared.identity.principal import Principal, Scope
from shared.strict_json import parse_json
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, read_form
from shared.web.paging import Page
from shared.web.templating import reader_of
from shared.web.uploads import read_upload

router = APIRouter(include_in_schema=False)

_Reader = Annotated[Principal, Depends(requires_page(Scope.THEMES_READ))]
_Writer = Annotated[Principal, Depends(requires_page(Scope.TAXONOMY_WRITE))]

_LONGEST_TRIED: Final = 5_000
_MEMBERS: Final = frozenset({"name", "department", "parent"})
"""What a finding about a theme can point at and its form has a field for."""

Act = Callable[[Transaction, datetime], Awaitable[None]]


@router.post(f"{PATH}/one")
async def save(request: Request, caller: _Writer) -> Response:
    """Save a theme in the draft, a new one at the end; or try its words on a text first."""
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    theme_id = fields.values.get("id", "")
    async with loop.database.reading() as view:
        taxonomy = await edited_taxonomy(view)
    before = known(taxonomy, theme_id) if theme_id else None
    theme = theme_of(fields, before or Theme(id="", name=""), tongues(taxonomy, before), reader)
    wants_trial = fields.values.get("do") == "try"
    text = fields.optional("text", most=_LONGEST_TRIED) or ""
    if fields.errors:
        form = fields.form("theme")
        return await theme_page(request, caller, theme_id, form=form, status=422)

    def edit(latest: Taxonomy) -> Taxonomy:
        if theme_id:
            return changed(latest, theme)
        return with_theme(latest, replace(theme, id=free_id(latest, theme.name)))

    try:
        if wants_trial:
            tried = await tried_on(edit(taxonomy), text, reader)
            form = fields.form("theme")
            return await theme_page(request, caller, theme_id, form=form, tried=tried)
        async with loop.database.transaction() as tx:
            await _change(tx, caller, fields, edit, loop.clock.now())
    except NotFound:
        raise
    except Refused as refusal:
        form = _refused(fields, refusal, reader)
        if isinstance(refusal, Stale):
            form = await _beside_theirs(request, form, edit)
        return await theme_page(request, caller, theme_id, form=form, status=refusal.status)
    return RedirectResponse(f"{PATH}?done=draft", 303)


@router.post(f"{PATH}/try")
async def try_text(request: Request, caller: _Reader) -> Response:
    """Show what is found in a pasted text; it is not kept."""
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    text = fields.text("text", most=_LONGEST_TRIED)
    if fields.errors:
        form = fields.form("taxonomy")
        return await taxonomy_page(request, caller, Page(), form=form, status=422)
    async with resources(request, Loop).database.reading() as view:
        taxonomy = await edited_taxonomy(view)
    tried = await tried_on(taxonomy, text, reader)
    return await taxonomy_page(
        request, caller, Page(), form=fields.form("taxonomy"), tried=tried
    )


@router.post(f"{PATH}/retire")
async def retire(request: Request, caller: _Writer) -> Response:
    """Look for a theme no more."""
    return await _on_theme(request, caller, _retiring)


@router.post(f"{PATH}/bring-back")
async def bring_back(request: Request, caller: _Writer) -> Response:
    """Look for a retired theme again."""
    return await _on_theme(request, caller, _bringing_back)


@router.post(f"{PATH}/merge")
async def merge(request: Request, caller: _Writer) -> Response:
    """Let a theme become a part of another one."""
    return await _on_theme(request, caller, _merging)


@router.post(f"{PATH}/split")
async def split_off(request: Request, caller: _Writer) -> Response:
    """Make a theme of its own of some keywords of a theme."""
    return await _on_theme(request, caller, _splitting)


@router.post(f"{PATH}/common")
async def common(request: Request, caller: _Writer) -> Response:
    """Say in the draft whether a text gets one theme or every one."""
    fields = Fields(await read_form(request), reader_of(request))
    most = 1 if fields.values.get("best_only") == "yes" else None

    async def act(tx: Transaction, now: datetime) -> None:
        await _change(tx, caller, fields, lambda one: replace(one, max_themes=most), now)

    return await _listed(request, caller, fields, act, "draft")


@router.post(f"{PATH}/import")
async def take_file(request: Request, caller: _Writer) -> Response:
    """Put the themes of a file into the draft, in the place of those that are there."""
    upload = await read_upload(request, "file", limit=MOST_BYTES)
    fields = Fields(dict(upload.fields), reader_of(request))

    async def act(tx: Transaction, now: datetime) -> None:
        taxonomy = parse_taxonomy(parse_json(upload.file))
        await _change(tx, caller, fields, lambda _before: taxonomy, now)

    return await _listed(request, caller, fields, act, "draft")


@router.post(f"{PATH}/publish")
async def publish(request: Request, caller: _Writer) -> Response:
    """Put the draft into use."""
    fields = Fields(await read_form(request), reader_of(request))

    async def act(tx: Transaction, now: datetime) -> None:
        await publish_draft(tx, expected=fields.whole("version"), by=caller, now=now)

    return await _listed(request, caller, fields, act, "published")


@router.post(f"{PATH}/refresh")
async def refresh(request: Request, caller: _Writer) -> Response:
    """Carry the draft over to what was published meanwhile."""
    fields = Fields(await read_form(request), reader_of(request))

    async def act(tx: Transaction, now: datetime) -> None:
        await bring_up_to_date(tx, expected=fields.whole("version"), by=caller, now=now)

    return await _listed(request, caller, fields, act, "refreshed")


@router.post(f"{PATH}/drop")
async def drop(request: Request, caller: _Writer) -> Response:
    """Forget the draft."""
    fields = Fields(await read_form(request), reader_of(request))

    async def act(tx: Transaction, now: datetime) -> None:
        await discard_draft(tx, by=caller, now=now)

    return await _listed(request, caller, fields, act, "dropped")


@router.post(f"{PATH}/restore")
async def restore(request: Request, caller: _Writer) -> Response:
    """Put an earlier version into use again."""
    fields = Fields(await read_form(request), reader_of(request))

    async def act(tx: Transaction, now: datetime) -> None:
        await restore_taxonomy(tx, fields.whole("restore") or 0, by=caller, now=now)

    return await _listed(request, caller, fields, act, "restored")


def _retiring(theme_id: str, _fields: Fields) -> Edit:
    return lambda one: retired(one, theme_id)


def _bringing_back(theme_id: str, _fields: Fields) -> Edit:
    return lambda one: brought_back(one, theme_id)


def _merging(theme_id: str, fields: Fields) -> Edit:
    into = fields.text("into", most=LONGEST_NAME)
    return lambda one: merged(one, theme_id, into)


def _splitting(theme_id: str, fields: Fields) -> Edit:
    name = fields.text("name", most=LONGEST_NAME)
    taken = {line.strip() for line in fields.values.get("words", "").split("\n")}

    def edit(one: Taxonomy) -> Taxonomy:
        spoken = known(one, theme_id).keywords
        return split(one, theme_id, name=name, words=dict.fromkeys(spoken, taken))[0]

    return edit


async def _change(
    tx: Transaction, caller: Principal, fields: Fields, edit: Edit, now: datetime
) -> None:
    await change_draft(tx, edit, expected=fields.whole("version"), by=caller, now=now)


async def _on_theme(
    request: Request, caller: Principal, edit_of: Callable[[str, Fields], Edit]
) -> Response:
    """Carry out what a small form beside a theme asks for, or show what is in the way."""
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    theme_id = fields.values.get("id", "")
    edit = edit_of(theme_id, fields)
    refusal: Refused | None = None
    if not fields.errors:
        try:
            async with loop.database.transaction() as tx:
                await _change(tx, caller, fields, edit, loop.clock.now())
        except NotFound:
            raise
        except Refused as refused:
            refusal = refused
        else:
            return RedirectResponse(f"{PATH}?done=draft", 303)
    acts = fields.form("acts", words.why(refusal, reader) if refusal else "")
    status = refusal.status if refusal else 422
    return await theme_page(request, caller, theme_id, acts=acts, status=status)


async def _listed(
    request: Request, caller: Principal, fields: Fields, act: Act, done: str
) -> Response:
    """Carry out what a form of the list asks for, or show the list with what is in the way."""
    loop = resources(request, Loop)
    try:
        async with loop.database.transaction() as tx:
            await act(tx, loop.clock.now())
    except NotFound:
        raise
    except Refused as refusal:
        form = fields.form("taxonomy", words.why(refusal, reader_of(request)))
        return await taxonomy_page(request, caller, Page(), form=form, status=refusal.status)
    return RedirectResponse(f"{PATH}?done={done}", 303)


async def _beside_theirs(request: Request, form: Form, edit: Edit) -> Form:
    """Say besides what this form would change of what somebody else has saved meanwhile."""
    reader = reader_of(request)
    async with resources(request, Loop).database.reading() as view:
        theirs = await edited_taxonomy(view)
        departments = await departments_of(view)
    changes = differences(theirs, edit(theirs))
    said = " ".join(words.change(one, departments, reader) for one in changes)
    text = reader.gettext("If you save it now, this changes: %(changes)s", changes=said)
    return replace(form, refusal=f"{form.refusal} {text}" if said else form.refusal)


def _refused(fields: Fields, refusal: Refused, reader: Reader) -> Form:
    """Return the form as it was sent, with each finding beside its field where it has one."""
    rest = []
    for one in refusal.findings if isinstance(refusal, Invalid) else ():
        field = one.pointer.rpartition("/")[2]
        text = reader.gettext(words.SAID.get(one.code, one.detail))
        if field in _MEMBERS:
            fields.errors[field] = text
        else:
            rest.append(text)
    if not isinstance(refusal, Invalid):
        rest.append(words.why(refusal, reader))
    return fields.form("theme", " ".join(rest))
