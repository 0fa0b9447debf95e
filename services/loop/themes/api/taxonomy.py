"""``/v1/taxonomy``: the words behind the themes, their versions, the draft of the next one."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from services.loop.resources import Loop
from services.loop.themes.api.taxonomy_documents import (
    DraftOut,
    PreviewOut,
    VersionList,
    shown_draft,
    shown_preview,
    shown_version,
)
from services.loop.themes.domain import parse_taxonomy
from services.loop.themes.domain.taxonomy import MOST_BYTES
from services.loop.themes.handlers import CurrentTaxonomy, current_taxonomy
from services.loop.themes.handlers.drafting import (
    Draft,
    change_draft,
    discard_draft,
    drafted_taxonomy,
    list_versions,
    no_draft,
    publish,
    publish_draft,
    restore_taxonomy,
)
from services.loop.themes.handlers.previewing import preview
from services.loop.themes.schemas import TaxonomyOut
from shared.db.transaction import Reading, Transaction
from shared.identity.keys import find_key
from shared.identity.owners import owners
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.bodies import read_json
from shared.web.idempotency import Answer, Once
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce
from shared.web.versions import etag, expected_version

router = APIRouter(prefix="/v1/taxonomy", tags=["themes"], dependencies=[EachOnce])
_Reader = Annotated[Principal, Depends(requires(Scope.THEMES_READ))]
_Writer = Annotated[Principal, Depends(requires(Scope.TAXONOMY_WRITE))]
_LAST_VERSION = 2**31 - 1
"""What a version can count up to in either database."""
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                # Any part may be missing or null, and unknown members are ignored.
                "schema": {
                    "type": "object",
                    "properties": {
                        "version": {"enum": [1, None]},
                        "max_themes": {"enum": [1, None]},
                        "themes": {
                            "type": ["array", "null"],
                            "items": {"type": "object", "required": ["id"]},
                        },
                    },
                },
            }
        },
    }
}


@router.get("", response_model=TaxonomyOut, summary="Read the taxonomy in use")
async def get_taxonomy(request: Request, _caller: _Reader) -> JSONResponse:
    """Return the taxonomy in use; its version is the ETag."""
    async with resources(request, Loop).database.reading() as view:
        return _answer(await current_taxonomy(view))


@router.put(
    "",
    response_model=TaxonomyOut,
    summary="Put another taxonomy into use",
    openapi_extra=_BODY,
)
async def put_taxonomy(request: Request, caller: _Writer) -> JSONResponse:
    """Put another taxonomy into use; what was found before stays as it was found."""
    expected = expected_version(request)
    taxonomy = parse_taxonomy(await read_json(request, limit=MOST_BYTES))
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        changed = await publish(
            tx, taxonomy, expected=expected, by=caller, now=loop.clock.now()
        )
    return _answer(changed)


@router.get(
    "/versions", response_model=VersionList, summary="List the versions of the taxonomy"
)
async def get_versions(request: Request, _caller: _Reader, page: Paged) -> dict[str, object]:
    """List who published which version when, and what it changed; the latest first."""
    loop = resources(request, Loop)
    of = "taxonomy/versions"
    after = page.after(loop.keyring, of=of)
    async with loop.database.reading() as view:
        before = after[0] if after else None
        rows = await list_versions(view, before=before, most=page.limit + 1)
        names = await _names(view, *(row.created_by for row in rows))
    return listed(
        rows,
        page,
        show=lambda version: shown_version(version, names),
        key=lambda version: [version.version],
        keyring=loop.keyring,
        of=of,
    )


@router.post(
    "/versions/{version}/restore",
    status_code=201,
    summary="Put an earlier version of the taxonomy back",
    responses={201: {"model": TaxonomyOut}},
)
async def post_restore(
    request: Request,
    version: Annotated[int, Path(ge=1, le=_LAST_VERSION)],
    caller: _Writer,
    once: Once,
) -> Response:
    """Put the themes of an earlier version into use once more, as the newest version."""
    loop = resources(request, Loop)

    async def restore(tx: Transaction) -> Answer:
        return _published(await restore_taxonomy(tx, version, by=caller, now=loop.clock.now()))

    return await once.act(loop.database, restore, by=caller)


@router.get(
    "/draft", summary="Read the draft of the taxonomy", responses={200: {"model": DraftOut}}
)
async def get_draft(request: Request, _caller: _Reader) -> JSONResponse:
    """Return the taxonomy that somebody works on; nothing is found by it yet."""
    async with resources(request, Loop).database.reading() as view:
        draft = await drafted_taxonomy(view)
        if draft is None:
            raise no_draft()
        return await _draft(view, draft)


@router.put(
    "/draft",
    summary="Write the draft of the taxonomy",
    openapi_extra=_BODY,
    responses={200: {"model": DraftOut}},
)
async def put_draft(request: Request, caller: _Writer) -> JSONResponse:
    """Replace the draft as a whole, or begin one; If-Match takes the draft's version."""
    expected = expected_version(request)
    taxonomy = parse_taxonomy(await read_json(request, limit=MOST_BYTES))
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        draft = await change_draft(
            tx, lambda _before: taxonomy, expected=expected, by=caller, now=loop.clock.now()
        )
        return await _draft(tx, draft)


@router.delete("/draft", status_code=204, summary="Drop the draft of the taxonomy")
async def delete_draft(request: Request, caller: _Writer) -> Response:
    """Forget the draft; the taxonomy in use stays as it is."""
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        await discard_draft(tx, by=caller, now=loop.clock.now())
    return Response(status_code=204)


@router.post(
    "/draft/publish",
    status_code=201,
    summary="Publish the draft of the taxonomy",
    responses={201: {"model": TaxonomyOut}},
)
async def post_publish(request: Request, caller: _Writer, once: Once) -> Response:
    """Put the draft into use; If-Match takes the draft's version."""
    loop = resources(request, Loop)
    expected = expected_version(request)

    async def act(tx: Transaction) -> Answer:
        return _published(
            await publish_draft(tx, expected=expected, by=caller, now=loop.clock.now())
        )

    return await once.act(loop.database, act, by=caller)


@router.post(
    "/preview",
    summary="Hold another taxonomy against the comments of the last 90 days",
    openapi_extra=_BODY,
    responses={200: {"model": PreviewOut}},
)
async def post_preview(request: Request, caller: _Writer, once: Once) -> Response:
    """Return what this taxonomy would find, beside what stands; nothing is written."""
    document = await read_json(request, limit=MOST_BYTES)
    taxonomy = parse_taxonomy(document)
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        made = await preview(view, taxonomy, person_keys=loop.person_keys, now=loop.clock.now())
    shown = shown_preview(made)

    async def answer(_tx: Transaction) -> Answer:
        return Answer(body=shown)

    # Read before the transaction: it takes its time, and nobody's write waits for it.
    return await once.act(loop.database, answer, by=caller, meaning=document)


def _answer(current: CurrentTaxonomy) -> JSONResponse:
    return JSONResponse(current.taxonomy.as_document(), headers={"ETag": etag(current.version)})


def _published(current: CurrentTaxonomy) -> Answer:
    return Answer(
        body=current.taxonomy.as_document(),
        status=201,
        headers={"ETag": etag(current.version)},
    )


async def _draft(view: Reading, draft: Draft) -> JSONResponse:
    names = await _names(view, draft.changed_by)
    return JSONResponse(shown_draft(draft, names), headers={"ETag": etag(draft.version)})


async def _names(view: Reading, *ids: str | None) -> dict[str, str]:
    """Return the names of staff and keys."""
    wanted = {one for one in ids if one is not None}
    names = {owner.id: owner.name for owner in (await owners(view, wanted)).values()}
    for one in wanted - set(names):
        if (key := await find_key(view, one)) is not None:
            names[key.id] = key.name
    return names
