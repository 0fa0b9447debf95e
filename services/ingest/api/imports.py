"""``GET /v1/imports/{id}``: how far the loop is with the responses of one import."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from typing_extensions import TypedDict

from services.ingest import store
from services.ingest.handlers import Ingest
from shared.errors import NotFound
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import own_source, requires_any
from shared.web.query import EachOnce

router = APIRouter(tags=["responses"])

Reader = Annotated[
    Principal, Depends(requires_any(Scope.RESPONSES_READ, Scope.RESPONSES_WRITE))
]
IMPORT_ID: Final = re.compile(r"imp_[0-9a-z]{26}")
_NONE: Final = "No response came with this import, or it belongs to another source."


class ImportOut(TypedDict):
    """An import in numbers; ``waiting`` responses are not handled yet."""

    id: str
    source: str
    responses: int
    waiting: int
    tasks: int
    themes: int


@router.get(
    "/v1/imports/{import_id}", dependencies=[EachOnce], summary="How far an import has come"
)
async def get_import(request: Request, import_id: str, caller: Reader) -> ImportOut:
    """Say how many responses an import has brought and what they led to."""
    ingest = resources(request, Ingest)
    stands = None
    if IMPORT_ID.fullmatch(import_id):
        async with ingest.database.reading() as view:
            stands = await store.import_stands(view, import_id, source=own_source(caller))
    if stands is None:
        raise NotFound(_NONE)
    return ImportOut(
        id=import_id,
        source=stands.source,
        responses=stands.responses,
        waiting=stands.waiting,
        tasks=stands.tasks,
        themes=stands.themes,
    )
