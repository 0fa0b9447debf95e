"""The addresses of the pages about customers' data.

By what somebody was named stands in forms alone: in no address, and on no page that is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.ingest import store
from services.ingest.api.persons import archive_response
from services.ingest.domain.persons import Named, named
from services.ingest.handlers import Ingest
from services.ingest.handlers.persons import Found, ask, fetch, find_person
from services.ingest.pages.privacy.page import (
    CONFIRMATION,
    PATH,
    WAYS,
    Discovery,
    PrivacyPage,
    line_of,
    request_page,
)
from services.ingest.pages.site import pages
from shared.errors import Invalid, NotFound
from shared.i18n import marked
from shared.identity.person_requests import get_request, list_requests
from shared.identity.principal import Principal, Scope
from shared.identity.trail import names_of
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.paging import Page, Paged, encode_cursor
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Keeper = Annotated[Principal, Depends(requires_page(Scope.PERSONS_WRITE))]
_LIST: Final = "page/privacy"
_LONGEST: Final = 1_000
_LONGEST_REF: Final = 40
_UNUSABLE: Final[Mapping[str, str]] = {
    "email": marked("Please give a whole e-mail address."),
    "customer_id": marked("Please give the id as the source sends it."),
    "response_id": marked("Please give the id of a response."),
    "ref": marked("Please give the pseudonym of a customer."),
}
_NOBODY: Final = marked("There is nobody by that name here.")


@router.get(PATH)
async def show_all(request: Request, _caller: _Keeper, page: Paged) -> Response:
    """Show the requests, the latest first, and the form that looks for somebody."""
    ref = request.query_params.get("ref", "").strip()[:_LONGEST_REF]
    values = {"by": "ref", "value": ref} if ref else {"by": "email"}
    return await _list(request, Form(name="find", values=values), page=page)


@router.post(f"{PATH}/find")
async def find(request: Request, caller: _Keeper) -> Response:
    """Show what there is of somebody, and what can be done about it."""
    ingest = resources(request, Ingest)
    fields = Fields(await read_form(request), reader_of(request))
    who = _who(fields)
    found = None if who is None else await _found(ingest, who, fields, caller)
    if who is None or found is None:
        return await _list(request, fields.form("find"), status=422)
    shown = _discovery(fields, found)
    return await _list(request, fields.form("find"), found=shown)


@router.post(PATH)
async def make(request: Request, caller: _Keeper) -> Response:
    """Ask for a copy, or for an erasure once somebody has typed that they mean it."""
    ingest = resources(request, Ingest)
    fields = Fields(await read_form(request), reader_of(request))
    kind = fields.choice("kind", ["export", "erasure"])
    who = _who(fields)
    if fields.errors or who is None:
        return await _list(request, fields.form("find"), status=422)
    if kind == "erasure" and fields.values.get("confirm", "") != CONFIRMATION:
        found = await _found(ingest, who, fields, caller)
        if found is None:
            return await _list(request, fields.form("find"), status=422)
        fields.wrong("confirm", marked("Please type the word as it stands here."))
        shown = _discovery(fields, found, erase=fields.form("erase"))
        form = Form(name="find", values=fields.values)
        return await _list(request, form, found=shown, status=422)
    try:
        async with ingest.database.transaction() as tx:
            made = await ask(
                tx, ingest, "export" if kind == "export" else "erasure", who, by=caller
            )
    except NotFound:
        fields.wrong("value", _NOBODY)
        return await _list(request, fields.form("find"), status=422)
    return RedirectResponse(f"{PATH}/{made.id}", 303)


@router.get(f"{PATH}/{{request_id}}")
async def show(request: Request, request_id: str, _caller: _Keeper) -> Response:
    """Show how far a request is; once it is done, what was done, to print."""
    ingest = resources(request, Ingest)
    async with ingest.database.reading() as view:
        one = await get_request(view, request_id)
        names = await names_of(view, [one.asked_by])
        mentions: list[tuple[str, str | None]] = []
        for response_id in one.mentions:
            response = await store.find_response(view, response_id)
            task = response and response.task_id
            mentions.append((response_id, f"/tasks/{task}" if task else None))
    context = request_page(
        one,
        reader_of(request),
        asked_by=names.get(one.asked_by, one.asked_by),
        mentions=mentions,
        now=ingest.clock.now(),
    )
    return pages.render(request, "person_request.html", context)


@router.get(f"{PATH}/{{request_id}}/archive")
async def archive(request: Request, request_id: str, caller: _Keeper) -> Response:
    """Hand the copy out as a file; whoever takes it stands in the trail."""
    ingest = resources(request, Ingest)
    async with ingest.database.transaction() as tx:
        return archive_response(await fetch(tx, ingest, request_id, by=caller))


def _who(fields: Fields) -> Named | None:
    """Return who is meant; None where the fields say nobody, and what is wrong with them."""
    by = fields.choice("by", list(WAYS))
    value = fields.text("value", most=_LONGEST)
    source = fields.optional("source", most=_LONGEST)
    if by == "customer_id" and source is None:
        fields.wrong("source", marked("Please say which source has given the id."))
    if fields.errors:
        return None
    try:
        return named({by: value, "source": source if by == "customer_id" else None})
    except Invalid:
        fields.wrong("value", _UNUSABLE[by])
        return None


async def _found(ingest: Ingest, who: Named, fields: Fields, caller: Principal) -> Found | None:
    """Return what there is of somebody; None where that cannot be, which the fields say."""
    try:
        return await find_person(ingest, who, by=caller)
    except NotFound:
        fields.wrong("value", _NOBODY)
        return None


def _discovery(fields: Fields, found: Found, *, erase: Form | None = None) -> Discovery:
    return Discovery(
        by=fields.values.get("by", ""),
        value=fields.values.get("value", ""),
        source=fields.values.get("source", ""),
        persons=found.persons,
        responses=sum(one.responses for one in found.persons),
        mentions=len(found.mentions),
        complete=found.complete,
        export=Form(name="export"),
        erase=erase or Form(name="erase"),
    )


async def _list(
    request: Request,
    find: Form,
    *,
    found: Discovery | None = None,
    page: Page | None = None,
    status: int = 200,
) -> Response:
    ingest, reader = resources(request, Ingest), reader_of(request)
    page = page or Page()
    after = page.after(ingest.keyring, of=_LIST)
    async with ingest.database.reading() as view:
        rows = await list_requests(
            view, limit=page.limit + 1, before=str(after[0]) if after else None
        )
    shown = rows[: page.limit]
    older = None
    if len(rows) > page.limit:
        older = f"{PATH}?cursor={encode_cursor(ingest.keyring, [shown[-1].id], of=_LIST)}"
    context = PrivacyPage(
        now=ingest.clock.now(),
        lines=[line_of(one, reader) for one in shown],
        newer=PATH if after is not None else None,
        older=older,
        find=find,
        ways=[Option(value=by, label=reader.gettext(text)) for by, text in WAYS.items()],
        found=found,
        confirmation=CONFIRMATION,
    )
    return pages.render(request, "privacy.html", context, status=status)
