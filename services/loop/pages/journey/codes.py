"""Segments, products and contact reasons: what their codes are called, and which are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.journey import store
from services.loop.journey.domain import BANK_REASONS, KINDS, OTHER, Code, ListKind
from services.loop.journey.handlers import (
    add_bank_reasons,
    add_code,
    change_code,
    find_code,
    list_codes,
    names_of,
    retire_code,
)
from services.loop.journey.store import CodeFilter
from services.loop.pages.journey.shared import refused
from services.loop.pages.labels import LANGUAGES
from services.loop.pages.site import done_of, pages
from services.loop.resources import Loop
from shared.db.transaction import Reading
from shared.errors import NotFound, Refused
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.paging import Page, Paged, encode_cursor
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Reader = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]
_Writer = Annotated[Principal, Depends(requires_page(Scope.POLICIES_WRITE))]

TITLES: Final[Mapping[ListKind, str]] = {
    "segment": marked("Segments"),
    "product": marked("Products"),
    "reason": marked("Contact reasons"),
}
DONE: Final[Mapping[str, str]] = {
    "added": marked("The code is on the list."),
    "changed": marked("The names are saved."),
    "map": marked("The code stands for what you chose."),
    "unmap": marked("The code stands for itself again."),
    "retired": marked("The code is no longer offered."),
    "bank": marked("The contact reasons of a bank are on the list."),
}
_LIMIT: Final = 50


@dataclass(frozen=True, kw_only=True)
class Tab:
    """One of the lists."""

    label: str
    href: str
    current: bool


@dataclass(frozen=True, kw_only=True)
class Line:
    """One code."""

    code: Code
    name: str
    href: str
    stands_for: str | None


@dataclass(frozen=True, kw_only=True)
class ListPage:
    """What a list of codes shows."""

    kind: ListKind
    title: str
    tabs: Sequence[Tab]
    filters: Form
    lines: Sequence[Line]
    newer: str | None
    older: str | None
    form: Form
    starter: bool
    """Whether the ready set of contact reasons has something to add."""
    done: str
    may_write: bool


@dataclass(frozen=True, kw_only=True)
class CodePage:
    """What the page of one code shows."""

    code: Code
    name: str
    title: str
    back: str
    stands_for: str | None
    naming: Form
    mapping: Form
    retiring: Form
    languages: Sequence[Option]
    targets: Sequence[Option]
    scores: str
    can_retire: bool
    done: str
    may_write: bool


def _list_href(kind: ListKind, **more: str) -> str:
    members = {"kind": kind, **{name: value for name, value in more.items() if value}}
    return "/settings/lists?" + urlencode(members)


def _href(kind: ListKind, code: str, **more: str) -> str:
    return "/settings/lists/one?" + urlencode({"kind": kind, "code": code, **more})


def _kind(text: str) -> ListKind:
    return next((kind for kind in KINDS if kind == text), "segment")


@router.get("/settings/lists")
async def show_list(request: Request, caller: _Reader, page: Paged) -> Response:
    """Show one of the lists, what nobody has described first."""
    kind = _kind(request.query_params.get("kind", ""))
    return await _list(request, kind, caller, page)


@router.get("/settings/lists/one")
async def show(request: Request, caller: _Reader) -> Response:
    """Show one code of a list."""
    kind = _kind(request.query_params.get("kind", ""))
    code = request.query_params.get("code", "").replace("\0", "")[:200]
    return await _one(request, kind, code, caller)


@router.post("/settings/lists")
async def add(request: Request, caller: _Writer) -> Response:
    """Put a code on a list."""
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    kind = _kind(fields.values.get("kind", ""))
    code, label = fields.text("code", most=200), fields.text("label", most=200)
    form = fields.form("new")
    if fields.errors:
        return await _list(request, kind, caller, Page(), form=form, status=422)
    now = loop.clock.now()
    new = Code(
        kind=kind,
        code=code,
        labels={reader.catalogue: label},
        described=True,
        first_seen_at=now,
        version=1,
    )
    try:
        async with loop.database.transaction() as tx:
            await add_code(tx, new, by=caller, now=now)
    except Refused as refusal:
        form = refused(form, refusal, reader)
        return await _list(request, kind, caller, Page(), form=form, status=refusal.status)
    return RedirectResponse(_list_href(kind, done="added"), 303)


@router.post("/settings/lists/starter")
async def add_starter(request: Request, caller: _Writer) -> Response:
    """Put the contact reasons of a bank on the list."""
    await read_form(request)
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        await add_bank_reasons(tx, by=caller, now=loop.clock.now())
    return RedirectResponse(_list_href("reason", done="bank"), 303)


@router.post("/settings/lists/{act}")
async def change(request: Request, act: str, caller: _Writer) -> Response:
    """Rename, map or retire a code."""
    if act not in {"names", "map", "retire"}:
        raise NotFound("There is nothing at this address.")
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    kind = _kind(fields.values.get("kind", ""))
    code = fields.values.get("code", "")
    labels = {
        language: text
        for language in LANGUAGES
        if (text := fields.optional(f"label_{language}", most=200))
    }
    target = fields.optional("alias_of", most=200)
    form = fields.form(act)
    if fields.errors:
        return await _one(request, kind, code, caller, form=form, status=422)
    by, now, expected = caller, loop.clock.now(), fields.whole("version")
    try:
        async with loop.database.transaction() as tx:
            if act == "retire":
                await retire_code(tx, kind, code, expected=expected, by=by, now=now)
            else:
                known = await find_code(tx, kind, code, now=now)
                # Names in languages that the form does not offer stay.
                others = {
                    tag: text for tag, text in known.labels.items() if tag not in LANGUAGES
                }
                changes: dict[str, object] = (
                    {"labels": others | labels} if act == "names" else {"alias_of": target}
                )
                await change_code(tx, kind, code, changes, expected=expected, by=by, now=now)
    except NotFound:
        raise
    except Refused as refusal:
        form = refused(form, refusal, reader)
        return await _one(request, kind, code, caller, form=form, status=refusal.status)
    if act == "retire":
        return RedirectResponse(_list_href(kind, done="retired"), 303)
    done = "changed" if act == "names" else "map" if target else "unmap"
    return RedirectResponse(_href(kind, code, done=done), 303)


async def _list(
    request: Request,
    kind: ListKind,
    caller: Principal,
    page: Page,
    *,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    loop, reader = resources(request, Loop), reader_of(request)
    text = request.query_params.get("q", "").replace("\0", "").strip()[:200]
    of = f"page/lists?{kind}&{text}"
    after = page.after(loop.keyring, of=of)
    async with loop.database.reading() as view:
        found = await list_codes(
            view,
            CodeFilter(kind=kind, text=text),
            now=loop.clock.now(),
            after=after,
            most=_LIMIT + 1,
            todo_first=True,
        )
        names = await names_of(view, kind, reader.catalogue)
        starter = kind == "reason" and await _starter_helps(view)
    more = len(found) > _LIMIT
    last = found[_LIMIT - 1] if more else None
    cursor = (
        encode_cursor(loop.keyring, [int(_settled(last)), last.code], of=of) if last else ""
    )
    context = ListPage(
        kind=kind,
        title=reader.gettext(TITLES[kind]),
        tabs=[
            Tab(label=reader.gettext(title), href=_list_href(each), current=each == kind)
            for each, title in TITLES.items()
        ],
        filters=Form(name="filter", values={"q": text}),
        lines=[
            Line(
                code=one,
                name=one.name_in(reader.catalogue),
                href=_href(kind, one.code),
                stands_for=names.get(one.alias_of, one.alias_of) if one.alias_of else None,
            )
            for one in found[:_LIMIT]
        ],
        newer=_list_href(kind, q=text) if after is not None else None,
        older=_list_href(kind, q=text, cursor=cursor) if more else None,
        form=form or Form(name="new"),
        starter=starter,
        done=done_of(request, DONE, reader) if status == 200 else "",
        may_write=caller.may(Scope.POLICIES_WRITE),
    )
    return pages.render(request, "lists.html", context, status=status)


def _settled(code: Code) -> bool:
    return code.is_mapped or code.retired_at is not None


async def _starter_helps(view: Reading) -> bool:
    known = {code.code for code in await store.mapped_codes(view, "reason")}
    return not set(BANK_REASONS) <= known


async def _one(
    request: Request,
    kind: ListKind,
    code: str,
    caller: Principal,
    *,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    loop, reader = resources(request, Loop), reader_of(request)
    async with loop.database.reading() as view:
        found = await find_code(view, kind, code, now=loop.clock.now())
        known = await store.mapped_codes(view, kind)
        names = await names_of(view, kind, reader.catalogue)
    forms = {
        "names": Form(
            name="names",
            values={f"label_{tag}": label for tag, label in found.labels.items()},
        ),
        "map": Form(name="map", values={"alias_of": found.alias_of or ""}),
        "retire": Form(name="retire"),
    } | ({form.name: form} if form else {})
    alias_of = found.alias_of
    context = CodePage(
        code=found,
        name=found.name_in(reader.catalogue),
        title=reader.gettext(TITLES[kind]),
        back=_list_href(kind),
        stands_for=names.get(alias_of, alias_of) if alias_of else None,
        naming=forms["names"],
        mapping=forms["map"],
        retiring=forms["retire"],
        languages=_languages(reader),
        targets=[
            Option(value=other.code, label=names[other.code])
            for other in known
            if other.described
            and other.alias_of is None
            and other.retired_at is None
            and other.code != code
        ],
        scores=(
            "/scores?" + urlencode({"group": "week", kind: alias_of or code})
            if caller.may(Scope.SCORES_READ)
            else ""
        ),
        can_retire=found.retired_at is None and not (kind == "reason" and code == OTHER),
        done=done_of(request, DONE, reader) if status == 200 else "",
        may_write=caller.may(Scope.POLICIES_WRITE),
    )
    return pages.render(request, "code.html", context, status=status)


def _languages(reader: Reader) -> Sequence[Option]:
    return [
        Option(value=f"label_{tag}", label=reader.gettext(name))
        for tag, name in LANGUAGES.items()
    ]
