"""The addresses of the pages of keys.

A key that was just made is shown in the answer to the form and nowhere else: a redirect would
have to keep it somewhere. Sending such a form again changes nothing, for of a source's usable
keys no two have one name, and a key is replaced once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.ingest.handlers import Ingest
from services.ingest.pages.calls import calls, hook_address
from services.ingest.pages.keys.page import (
    SCOPES,
    KeyPage,
    KeyShownPage,
    KeysPage,
    line_of,
)
from services.ingest.pages.site import pages
from shared.db.transaction import Reading
from shared.errors import Conflict, Invalid, NotFound
from shared.i18n import Reader, marked
from shared.identity.keys import (
    LONGEST_SOURCE,
    ApiKey,
    create_key,
    find_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from shared.identity.principal import Principal, Scope
from shared.web.access import resources, web
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.paging import Page, Paged, encode_cursor
from shared.web.templating import done_of, reader_of

router = APIRouter(include_in_schema=False)

_Reader = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]
_Writer = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_WRITE))]

DONE: Final[Mapping[str, str]] = {"revoked": marked("The key is revoked.")}

EXPIRIES: Final = (0, 30, 90, 365)
"""After how many days a key may be made to end; 0 is never."""
OVERLAPS: Final = (0, 1, 24, 168)
"""For how many hours a replaced key may go on."""
_OVERLAP: Final = 24
_LIST: Final = "page/keys"
_SCOPE: Final = "scope:"


@router.get("/settings/keys")
async def show_all(request: Request, caller: _Reader, page: Paged) -> Response:
    """Show the keys that are not revoked, or all, and the form that makes one."""
    source = request.query_params.get("source", "").strip()[:LONGEST_SOURCE]
    values = {"source": source, f"{_SCOPE}{Scope.RESPONSES_WRITE}": "yes", "expires": "0"}
    form = Form(name="new", values=values)
    return await _list(request, caller, form, page=page)


@router.post("/settings/keys")
async def make(request: Request, caller: _Writer) -> Response:
    """Make a key and show it, this once."""
    ingest = resources(request, Ingest)
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    source = fields.text("source", most=LONGEST_SOURCE)
    name = fields.text("name", most=200)
    scopes = [scope for scope in Scope if fields.values.get(f"{_SCOPE}{scope.value}")]
    if not scopes:
        fields.errors["scopes"] = reader.gettext("Please choose at least one.")
    days = fields.choice("expires", [str(days) for days in EXPIRIES])
    if fields.errors:
        return await _list(request, caller, fields.form("new"), status=422)
    now = ingest.clock.now()
    try:
        async with ingest.database.transaction() as tx:
            if await _of_name(tx, source, name, now=now):
                fields.errors["name"] = reader.gettext(
                    "This source has a usable key of this name. Give the new one another name."
                )
                return await _list(request, caller, fields.form("new"), status=422)
            key, plain = await create_key(
                tx,
                source=source,
                name=name,
                scopes=scopes,
                now=now,
                expires_at=now + timedelta(days=int(days)) if int(days) else None,
                test=bool(fields.values.get("test")),
                by=caller,
            )
    except Invalid as refusal:
        for finding in refusal.findings:
            text = _REFUSED.get(finding.code, _UNUSABLE)
            fields.errors[finding.pointer.removeprefix("/")] = reader.gettext(text)
        return await _list(request, caller, fields.form("new"), status=refusal.status)
    return _shown(request, key, plain)


@router.get("/settings/keys/{key_id}")
async def show(request: Request, key_id: str, caller: _Reader) -> Response:
    """Show one key, and the forms that replace and revoke it."""
    return await _page(request, key_id, caller)


@router.post("/settings/keys/{key_id}/rotate")
async def rotate(request: Request, key_id: str, caller: _Writer) -> Response:
    """Make a key in the place of another, which goes on for a while."""
    ingest = resources(request, Ingest)
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    hours = fields.choice("overlap", [str(hours) for hours in OVERLAPS])
    if fields.errors:
        form = fields.form("rotate")
        return await _page(request, key_id, caller, rotate=form, status=422)
    try:
        async with ingest.database.transaction() as tx:
            key, plain = await rotate_key(
                tx,
                key_id,
                overlap=timedelta(hours=int(hours)),
                now=ingest.clock.now(),
                by=caller,
            )
            former = await find_key(tx, key_id)
    except Conflict as refusal:
        text = reader.gettext("This key is no longer in use, or has been replaced already.")
        form = fields.form("rotate", refusal=text)
        return await _page(request, key_id, caller, rotate=form, status=refusal.status)
    return _shown(request, key, plain, former_until=former.expires_at if former else None)


@router.post("/settings/keys/{key_id}/revoke")
async def revoke(request: Request, key_id: str, caller: _Writer) -> Response:
    """End a key for good, once somebody has said that they are sure."""
    ingest = resources(request, Ingest)
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    if not fields.values.get("sure"):
        fields.errors["sure"] = reader.gettext("Please tick this: it cannot be undone.")
        form = fields.form("revoke")
        return await _page(request, key_id, caller, revoke=form, status=422)
    async with ingest.database.transaction() as tx:
        await revoke_key(tx, key_id, now=ingest.clock.now(), by=caller)
    return RedirectResponse("/settings/keys?done=revoked", 303)


_UNUSABLE: Final = marked("Please use letters, digits and signs that can be seen.")
_REFUSED: Final[Mapping[str, str]] = {
    "not_in_addresses": marked("Please use a name without slashes: it stands in addresses."),
    "not_for_tests": marked("A test key may only send and read responses."),
    "reserved": marked("Names that end with “:test” are kept for trials. Tick “test” instead."),
}


async def _of_name(view: Reading, source: str, name: str, *, now: datetime) -> bool:
    """Tell whether a source has a usable key of this name."""
    found = await list_keys(view, source=source, with_revoked=False)
    return any(key.name == name and key.usable(now) for key in found)


async def _list(
    request: Request,
    caller: Principal,
    form: Form,
    *,
    page: Page | None = None,
    status: int = 200,
) -> Response:
    ingest = resources(request, Ingest)
    reader = reader_of(request)
    page = page or Page()
    source = request.query_params.get("source", "").strip()[:LONGEST_SOURCE]
    with_revoked = request.query_params.get("revoked") == "yes"
    asked = {"source": source, "revoked": "yes" if with_revoked else ""}
    of = f"{_LIST}?{urlencode(asked)}"
    after = page.after(ingest.keyring, of=of)
    async with ingest.database.reading() as view:
        found = await list_keys(
            view,
            limit=page.limit + 1,
            after=str(after[0]) if after else None,
            source=source or None,
            with_revoked=with_revoked,
        )
    now = ingest.clock.now()
    shown = found[: page.limit]
    more = len(found) > page.limit
    last = encode_cursor(ingest.keyring, [shown[-1].id], of=of) if more else ""
    context = KeysPage(
        now=now,
        done=done_of(request, DONE, reader),
        source=source,
        with_revoked=with_revoked,
        lines=[line_of(key, reader, now=now) for key in shown],
        all_keys=_href(source=source, revoked="yes"),
        newer=_href(**asked) if after is not None else None,
        older=_href(**asked, cursor=last) if more else None,
        may_write=caller.may(Scope.SETTINGS_WRITE),
        form=form,
        scopes=[
            Option(value=f"{_SCOPE}{scope}", label=f"{reader.gettext(text)} ({scope})")
            for scope, text in SCOPES.items()
        ],
        expiries=[_expiry(days, reader) for days in EXPIRIES],
        kinds=[Option(value="test", label=reader.gettext(marked("A test key")))],
    )
    return pages.render(request, "keys.html", context, status=status)


def _href(**asked: str) -> str:
    query = urlencode({name: value for name, value in asked.items() if value})
    return f"/settings/keys?{query}" if query else "/settings/keys"


async def _page(
    request: Request,
    key_id: str,
    caller: Principal,
    *,
    rotate: Form | None = None,
    revoke: Form | None = None,
    status: int = 200,
) -> Response:
    ingest = resources(request, Ingest)
    reader = reader_of(request)
    async with ingest.database.reading() as view:
        key = await find_key(view, key_id)
    if key is None:
        raise NotFound("There is no such key.")
    sure = reader.gettext("Yes: nothing that matters uses this key any more")
    context = KeyPage(
        key=line_of(key, reader, now=ingest.clock.now()),
        replaced=key.replaced_by is not None,
        may_write=caller.may(Scope.SETTINGS_WRITE),
        rotate=rotate or Form(name="rotate", values={"overlap": str(_OVERLAP)}),
        revoke=revoke or Form(name="revoke"),
        overlaps=[_overlap(hours, reader) for hours in OVERLAPS],
        sure=[Option(value="sure", label=sure)],
    )
    return pages.render(request, "key.html", context, status=status)


def _shown(
    request: Request, key: ApiKey, plain: str, *, former_until: datetime | None = None
) -> Response:
    public_url = web(request).settings.public_url
    context = KeyShownPage(
        key=line_of(key, reader_of(request), now=web(request).clock.now()),
        plain=plain,
        former_until=former_until,
        posts=Scope.RESPONSES_WRITE in key.scopes,
        calls=calls(public_url, plain),
        hook=hook_address(public_url, key.source),
        hook_with_key=hook_address(public_url, key.source, plain),
    )
    return pages.render(request, "key_shown.html", context)


def _expiry(days: int, reader: Reader) -> Option:
    label = (
        reader.ngettext("after %(n)s day", "after %(n)s days", days)
        if days
        else reader.gettext("never")
    )
    return Option(value=str(days), label=label)


def _overlap(hours: int, reader: Reader) -> Option:
    label = reader.span(timedelta(hours=hours)) if hours else reader.gettext("it ends at once")
    return Option(value=str(hours), label=label)
