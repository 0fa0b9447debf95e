"""The addresses of the pages of sources, but those of single payloads.

A secret that was just made is shown in the answer to the form and nowhere else, as a key is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.ingest import store
from services.ingest.handlers import (
    Ingest,
    SourceChange,
    add_secret,
    change_source,
    drop_secret,
    source_named,
    source_names,
)
from services.ingest.pages.calls import hook_address
from services.ingest.pages.site import pages, source_path
from services.ingest.pages.sources.page import SecretShownPage, SourcesPage
from services.ingest.pages.sources.reading import (
    read_source,
    sender_options,
    source_lines,
)
from services.ingest.pages.sources.written import (
    LONGEST_MAPPING,
    NotWritten,
    read_mapping_text,
)
from services.ingest.reception import mapping_of
from services.ingest.senders import ready_senders
from shared.db.transaction import Reading
from shared.errors import Conflict, Invalid, Stale
from shared.i18n import Reader, marked
from shared.identity.keys import LONGEST_SOURCE, TWIN, source_name
from shared.identity.principal import Principal, Scope
from shared.web.access import resources, web
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, read_form
from shared.web.templating import done_of, reader_of

router = APIRouter(include_in_schema=False)

Looker = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]
Keeper = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_WRITE))]

DONE: Final[Mapping[str, str]] = {
    "created": marked("The source is there. Make a key or a signing secret for it next."),
    "saved": marked("The settings are saved."),
    "secret": marked("The secret is saved."),
    "secret-deleted": marked("The secret is deleted."),
}
STALE: Final = marked(
    "Somebody changed this meanwhile. Open it in another window to compare; saved once more,"
    " your version takes its place."
)

_OVERLAP: Final = timedelta(hours=24)
_SHORTEST_SECRET: Final = 8
_LONGEST_SECRET: Final = 1_000
_MOST_HOURS: Final = 8_760


@router.get("/settings/sources")
async def show_all(request: Request, caller: Looker) -> Response:
    """Show every source, and the form that creates one."""
    return await _list(request, caller, Form(name="new"))


@router.post("/settings/sources")
async def create(request: Request, caller: Keeper) -> Response:
    """Create a source."""
    ingest = resources(request, Ingest)
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    name = fields.text("name", most=LONGEST_SOURCE - len(TWIN))
    sender = fields.choice("sender", ["", *ready_senders()])
    async with ingest.database.reading() as view:
        if name in await source_names(view):
            fields.errors["name"] = reader.gettext("There is a source of this name already.")
    if not fields.errors:
        try:
            await _change(request, name, SourceChange(sender=sender or None), caller)
        except Invalid as refusal:
            for finding in refusal.findings:
                at = finding.pointer.removeprefix("/")
                fields.errors[at] = reader.gettext(_REFUSED.get(finding.code, _UNUSABLE))
    if fields.errors:
        return await _list(request, caller, fields.form("new"), status=422)
    return RedirectResponse(f"{source_path(name)}?done=created", 303)


@router.post("/settings/sources/{name:path}/secrets")
async def make_secret(request: Request, name: str, caller: Keeper) -> Response:
    """Take the sender's secret, or make one and show it, this once."""
    ingest = resources(request, Ingest)
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    value = fields.optional("value", most=_LONGEST_SECRET)
    if value is not None and len(value) < _SHORTEST_SECRET:
        fields.errors["value"] = reader.ngettext(
            "Please give at least %(n)s character.",
            "Please give at least %(n)s characters.",
            _SHORTEST_SECRET,
        )
    if fields.errors:
        form = Form(name="secret", errors=fields.errors)  # what was typed is not shown again
        return await page_of(request, name, caller, secret=form, status=422)
    now = ingest.clock.now()
    until = now + _OVERLAP
    try:
        async with ingest.database.transaction() as tx:
            newest = await _newest_secret(tx, name, ingest)
            _refuse_unless(newest == fields.values.get("newest", ""))
            secret = await add_secret(
                tx,
                source_name(name),
                keyring=ingest.keyring,
                value=value,
                former_until=until,
                by=caller,
                now=now,
            )
    except (Stale, Conflict) as refusal:
        text = _MADE_ALREADY if isinstance(refusal, Stale) else _ENOUGH
        form = Form(name="secret", refusal=reader.gettext(text))
        return await page_of(request, name, caller, secret=form, status=refusal.status)
    if value is not None:
        return RedirectResponse(f"{source_path(name)}?done=secret#secret", 303)
    context = SecretShownPage(
        name=name,
        source_href=source_path(name),
        plain=secret.value,
        hook=hook_address(web(request).settings.public_url, name),
        former_until=until if newest else None,
    )
    return pages.render(request, "secret_shown.html", context)


@router.post("/settings/sources/{name:path}/secrets/{secret_id}/delete")
async def delete_secret(
    request: Request, name: str, secret_id: str, caller: Keeper
) -> Response:
    """Take no signature any more that was made with this secret."""
    ingest = resources(request, Ingest)
    await read_form(request)
    async with ingest.database.transaction() as tx:
        now = ingest.clock.now()
        await drop_secret(tx, name, secret_id, keyring=ingest.keyring, by=caller, now=now)
    return RedirectResponse(f"{source_path(name)}?done=secret-deleted#secret", 303)


@router.get("/settings/sources/{name:path}")
async def show(request: Request, name: str, caller: Looker) -> Response:
    """Show one source: how to connect it, how it does, what it sent, how it is read."""
    return await page_of(request, name, caller)


@router.post("/settings/sources/{name:path}")
async def save(request: Request, name: str, caller: Keeper) -> Response:
    """Give a source its settings."""
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    hours = fields.whole("silent") if fields.values.get("silent") else None
    if fields.values.get("silent") and not (hours and hours <= _MOST_HOURS):
        fields.errors["silent"] = reader.gettext("Please give whole hours, 1 to 8,760.")
    change = SourceChange(
        sender=fields.choice("sender", ["", *ready_senders()]) or None,
        namespace=fields.optional("namespace", most=100),
        silent_after_hours=hours,
        mapping=mapping_in(fields, reader),
    )
    if not fields.errors:
        try:
            await _change(request, name, change, caller, expected=fields.whole("version"))
        except Stale as refusal:
            form = fields.form("settings", refusal=reader.gettext(STALE))
            return await page_of(request, name, caller, form=form, status=refusal.status)
        except Invalid as refusal:
            note_findings(fields, refusal, reader)
    if fields.errors:
        form = fields.form("settings")
        return await page_of(request, name, caller, form=form, status=422)
    return RedirectResponse(f"{source_path(name)}?done=saved#settings", 303)


async def save_mapping(
    request: Request,
    name: str,
    mapping: Mapping[str, Any] | None,
    caller: Principal,
    version: int,
) -> None:
    """Give a source another mapping and leave the rest of its settings as it is."""
    source = await source_named(resources(request, Ingest), name)
    change = SourceChange(
        sender=source.sender,
        namespace=source.namespace,
        silent_after_hours=source.silent_after_hours,
        mapping=mapping,
    )
    await _change(request, name, change, caller, expected=version)


def mapping_in(fields: Fields, reader: Reader) -> Mapping[str, Any] | None:
    """Return the mapping that stands in a form; what is wrong with its text is noted."""
    text = fields.optional("mapping", most=LONGEST_MAPPING)
    try:
        return read_mapping_text(text) if text is not None else None
    except NotWritten as error:
        fields.errors["mapping"] = (
            reader.gettext("Line %(line)s is not YAML.", line=error.line)
            if error.line
            else reader.gettext("This is no mapping: write YAML, one “name: value” a line.")
        )
        return None


def note_findings(fields: Fields, refusal: Invalid, reader: Reader) -> None:
    """Note what is wrong with a mapping or a namespace at its field.

    What a mapping says is a language of its own, and so is what is wrong with it: English.
    """
    for finding in refusal.findings:
        if finding.pointer == "/namespace":
            fields.errors["namespace"] = reader.gettext(_UNUSABLE)
    wrong = [
        f"{finding.pointer.removeprefix('/mapping') or '/'}: {finding.detail}. {finding.fix}"
        for finding in refusal.findings
        if finding.pointer != "/namespace"
    ]
    if wrong or not refusal.findings:
        fields.errors["mapping"] = " · ".join(wrong) or refusal.detail


async def page_of(
    request: Request,
    name: str,
    caller: Principal,
    *,
    form: Form | None = None,
    secret: Form | None = None,
    status: int = 200,
) -> Response:
    """Answer with the page of a source."""
    ingest = resources(request, Ingest)
    reader = reader_of(request)
    now = ingest.clock.now()
    async with ingest.database.reading() as view:
        source = await store.find_source(view, name, keyring=ingest.keyring, now=now)
        context = await read_source(
            view,
            name,
            reader,
            caller,
            mapping=mapping_of(source),
            public_url=web(request).settings.public_url,
            keyring=ingest.keyring,
            now=now,
            form=form,
            secret=secret,
            done=done_of(request, DONE, reader) if status == 200 else "",
        )
    if form is not None and status == Stale.status:
        # The second try is to be weighed against what stands there now.
        values = {**form.values, "version": str(source.version)}
        context = replace(context, form=replace(form, values=values))
    return pages.render(request, "source.html", context, status=status)


_UNUSABLE: Final = marked("Please use letters, digits and signs that can be seen.")
_MADE_ALREADY: Final = marked("A secret was made meanwhile: it is in the list.")
_ENOUGH: Final = marked("There are five secrets already. Delete one that is no longer used.")
_REFUSED: Final[Mapping[str, str]] = {
    "not_in_addresses": marked("Please use a name without slashes: it stands in addresses."),
    "reserved": marked("Names that end with “:test” are kept for trials."),
}


async def _newest_secret(view: Reading, name: str, ingest: Ingest) -> str:
    """Return the id of the secret that was made last and counts; nothing where none does."""
    now = ingest.clock.now()
    known = await store.secrets_of(view, name, keyring=ingest.keyring)
    return next((one.id for one in known if one.counts(now)), "")


def _refuse_unless(fresh: bool) -> None:  # noqa: FBT001 - a guard's verdict
    """Refuse a form that was sent again: it would make a second secret."""
    if not fresh:
        raise Stale("A secret was made meanwhile.")


async def _list(
    request: Request, caller: Principal, form: Form, *, status: int = 200
) -> Response:
    ingest = resources(request, Ingest)
    now = ingest.clock.now()
    async with ingest.database.reading() as view:
        lines = await source_lines(view, reader_of(request), keyring=ingest.keyring, now=now)
    context = SourcesPage(
        now=now,
        lines=lines,
        may_write=caller.may(Scope.SETTINGS_WRITE),
        form=form,
        senders=sender_options(reader_of(request)),
    )
    return pages.render(request, "sources.html", context, status=status)


async def _change(
    request: Request,
    name: str,
    change: SourceChange,
    caller: Principal,
    *,
    expected: int | None = None,
) -> None:
    ingest = resources(request, Ingest)
    async with ingest.database.transaction() as tx:
        await change_source(
            tx,
            name,
            change,
            keyring=ingest.keyring,
            expected=expected,
            by=caller,
            now=ingest.clock.now(),
        )
