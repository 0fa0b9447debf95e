"""The addresses of single payloads: opened, tried, mended, taken in again.

Opening one shows what a customer wrote, so each opening is in the audit trail, and it takes the
right to read responses beside the one to change settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.ingest.domain.payloads import ACCEPTED
from services.ingest.domain.sources import Source, is_test
from services.ingest.handlers import (
    Ingest,
    mapping_of,
    open_payload,
    source_named,
    standing_of,
)
from services.ingest.pages.reasons import became
from services.ingest.pages.site import pages, source_path
from services.ingest.pages.sources.page import PayloadPage, Trial
from services.ingest.pages.sources.routes import (
    STALE,
    mapping_in,
    note_findings,
    save_mapping,
)
from services.ingest.pages.sources.trying import tried
from services.ingest.pages.sources.written import EXAMPLE, mapping_text, payload_text, shortened
from services.ingest.reception import receive_again
from services.ingest.store import Kept, Sample
from shared.errors import Conflict, Invalid, Stale
from shared.i18n import marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.templating import done_of, reader_of

router = APIRouter(include_in_schema=False)

Opener = Annotated[
    Principal, Depends(requires_page(Scope.RESPONSES_READ, Scope.SETTINGS_WRITE))
]

DONE: Final[Mapping[str, str]] = {
    "mapping": marked("The mapping is saved."),
    "again": marked("It was taken in again; what became of it stands below."),
}

_TYPES: Final = [kind for kind in ACCEPTED if "*" not in kind and "multipart" not in kind]
_LONGEST_PAYLOAD: Final = 100_000
_AT: Final = "/settings/sources/{name:path}/payloads/{payload_id}"


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """A payload on the table: kept or pasted."""

    source: Source
    sample: Sample | None
    kept: Kept | None = None

    @property
    def test(self) -> bool:
        """Tell whether it came with a key for trials."""
        return self.kept is not None and is_test(self.kept.source)


@router.get(_AT)
async def show(request: Request, name: str, payload_id: str, caller: Opener) -> Response:
    """Open a payload and try the saved mapping on it."""
    opened = await _open(request, name, payload_id, caller)
    return await _page(request, opened, _form(opened.source))


@router.post(f"{_AT}/try")
async def try_on(request: Request, name: str, payload_id: str, caller: Opener) -> Response:
    """Try another mapping on a payload; nothing is changed."""
    opened = await _open(request, name, payload_id, caller)
    return await _tried(request, opened)


@router.post(f"{_AT}/mapping")
async def save(request: Request, name: str, payload_id: str, caller: Opener) -> Response:
    """Save the mapping that was tried on a payload."""
    opened = await _open(request, name, payload_id, caller)
    back = source_path(name, "payloads", payload_id)
    return await _saved(request, opened, caller, back=f"{back}?done=mapping")


@router.post(f"{_AT}/again")
async def take_in(request: Request, name: str, payload_id: str, caller: Opener) -> Response:
    """Take a rejected payload in with the mapping that is saved now."""
    ingest = resources(request, Ingest)
    await read_form(request)
    opened = await _open(request, name, payload_id, caller)
    if opened.kept is None or opened.kept.outcome != "rejected":
        raise Conflict("Only what was rejected can be taken in again.")
    await receive_again(ingest, name, payload_id, by=caller)
    return RedirectResponse(f"{source_path(name, 'payloads', payload_id)}?done=again", 303)


@router.get("/settings/sources/{name:path}/try")
async def show_empty(request: Request, name: str, _caller: Opener) -> Response:
    """Offer a place to paste a payload."""
    source = await _known(request, name)
    return await _page(request, _Opened(source=source, sample=None), _form(source))


@router.post("/settings/sources/{name:path}/try")
async def try_pasted(request: Request, name: str, _caller: Opener) -> Response:
    """Try a mapping on a payload that was never sent; nothing is kept."""
    return await _tried(request, _Opened(source=await _known(request, name), sample=None))


@router.post("/settings/sources/{name:path}/mapping")
async def save_pasted(request: Request, name: str, caller: Opener) -> Response:
    """Save the mapping that was tried on a pasted payload."""
    opened = _Opened(source=await _known(request, name), sample=None)
    back = f"{source_path(name)}?done=saved#settings"
    return await _saved(request, opened, caller, back=back)


async def _known(request: Request, name: str) -> Source:
    ingest = resources(request, Ingest)
    async with ingest.database.reading() as view:
        found = await standing_of(view, name, keyring=ingest.keyring, now=ingest.clock.now())
    return found.source


async def _open(request: Request, name: str, payload_id: str, caller: Principal) -> _Opened:
    ingest = resources(request, Ingest)
    async with ingest.database.transaction() as tx:
        now = ingest.clock.now()
        kept, sample = await open_payload(
            tx, name, payload_id, keyring=ingest.keyring, by=caller, now=now
        )
    return _Opened(source=await source_named(ingest, name), sample=sample, kept=kept)


async def _tried(request: Request, opened: _Opened) -> Response:
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    mapping = mapping_in(fields, reader)
    if opened.kept is None:
        payload = fields.text("payload", most=_LONGEST_PAYLOAD)
        sample = Sample(
            body=payload.encode(),
            content_type=fields.choice("content_type", _TYPES),
            outcome="accepted",
        )
        opened = replace(opened, sample=sample)
    if not fields.errors:
        try:
            mapping_of(opened.source.sender, mapping)
        except Invalid as refusal:
            note_findings(fields, refusal, reader)
    form = fields.form("mapping")
    if fields.errors:
        return await _page(request, opened, form, status=422)
    trial = await _trial(
        request, replace(opened, source=replace(opened.source, mapping=mapping))
    )
    return await _page(request, opened, form, trial=trial)


async def _saved(
    request: Request, opened: _Opened, caller: Principal, *, back: str
) -> Response:
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    mapping = mapping_in(fields, reader)
    if not fields.errors:
        try:
            await save_mapping(
                request, opened.source.name, mapping, caller, fields.whole("version") or 0
            )
        except Stale as refusal:
            form = fields.form("mapping", refusal=reader.gettext(STALE))
            return await _page(request, opened, form, status=refusal.status)
        except Invalid as refusal:
            note_findings(fields, refusal, reader)
    if fields.errors:
        return await _page(request, opened, fields.form("mapping"), status=422)
    return RedirectResponse(back, 303)


def _form(source: Source) -> Form:
    values = {"version": str(source.version), "mapping": mapping_text(source.mapping)}
    return Form(name="mapping", values=values)


async def _trial(request: Request, opened: _Opened) -> Trial | None:
    if opened.sample is None:
        return None
    return await tried(
        resources(request, Ingest),
        opened.source,
        opened.sample,
        reader_of(request),
        test=opened.test,
    )


async def _page(
    request: Request,
    opened: _Opened,
    form: Form,
    *,
    trial: Trial | None = None,
    status: int = 200,
) -> Response:
    reader = reader_of(request)
    kept, sample, name = opened.kept, opened.sample, opened.source.name
    if trial is None and (kept is not None or not form.errors):
        # What is wrong in the form is not tried; the mapping that is saved still is.
        trial = await _trial(request, opened)
    context = PayloadPage(
        name=name,
        source_href=source_path(name),
        action=source_path(name, "payloads", kept.id) if kept else source_path(name),
        done=done_of(request, DONE, reader) if status == 200 else "",
        at=kept.at if kept else None,
        became=became(kept.outcome, kept.reason, reader, path=shortened(kept.path or ""))
        if kept
        else None,
        content_type=kept.content_type if kept else "",
        payload=payload_text(sample.body, sample.content_type) if kept and sample else None,
        trial=trial,
        form=form,
        example=EXAMPLE,
        content_types=[Option(value=kind, label=kind) for kind in _TYPES],
        can_take_in=kept is not None and kept.outcome == "rejected",
    )
    return pages.render(request, "payload.html", context, status=status)
