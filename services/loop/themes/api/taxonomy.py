"""``/v1/taxonomy``: the words behind the themes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from starlette.requests import Request

from services.loop.resources import Loop
from services.loop.themes.domain import parse_taxonomy
from services.loop.themes.handlers import CurrentTaxonomy, change_taxonomy, current_taxonomy
from services.loop.themes.schemas import TaxonomyOut
from shared.identity import audit
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.bodies import read_json
from shared.web.query import EachOnce
from shared.web.versions import etag, expected_version

router = APIRouter(tags=["themes"], dependencies=[EachOnce])
_Reader = Annotated[Principal, Depends(requires(Scope.THEMES_READ))]
_Writer = Annotated[Principal, Depends(requires(Scope.TAXONOMY_WRITE))]
_TAXONOMY_BODY = {
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


@router.get("/v1/taxonomy", response_model=TaxonomyOut, summary="Read the taxonomy in use")
async def get_taxonomy(request: Request, _caller: _Reader) -> JSONResponse:
    """Return the taxonomy in use; its version is the ETag."""
    async with resources(request, Loop).database.reading() as view:
        return _answer(await current_taxonomy(view))


@router.put(
    "/v1/taxonomy",
    response_model=TaxonomyOut,
    summary="Put another taxonomy into use",
    openapi_extra=_TAXONOMY_BODY,
)
async def put_taxonomy(request: Request, caller: _Writer) -> JSONResponse:
    """Put another taxonomy into use; what was found before stays as it was found."""
    expected = expected_version(request)
    taxonomy = parse_taxonomy(await read_json(request))
    loop = resources(request, Loop)
    now = loop.clock.now()
    async with loop.database.transaction() as tx:
        changed = await change_taxonomy(tx, taxonomy, expected=expected, by=caller.id, now=now)
        await audit.record(
            tx,
            caller,
            "taxonomy.changed",
            f"taxonomy/{changed.version}",
            {"themes": len(taxonomy.themes)},
            now=now,
        )
    return _answer(changed)


def _answer(current: CurrentTaxonomy) -> JSONResponse:
    return JSONResponse(current.taxonomy.as_document(), headers={"ETag": etag(current.version)})
