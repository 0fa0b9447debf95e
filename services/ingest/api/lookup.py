"""``GET /v1/responses``: where a response stands, and which ones there are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import JSONResponse

from services.ingest import store
from services.ingest.domain.reading import tidy
from services.ingest.handlers import Ingest, external_ids_of
from services.ingest.schemas import ListOut, ResponseOut, schema_of
from shared.errors import NotFound
from shared.identity.principal import Principal, Scope
from shared.stats.categories import category_of
from shared.web.access import resources
from shared.web.auth import own_source, requires_any
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce

router = APIRouter(tags=["responses"])

Reader = Annotated[
    Principal, Depends(requires_any(Scope.RESPONSES_READ, Scope.RESPONSES_WRITE))
]
State = Literal["received", "no_action", "task_open", "closed"]
_NONE: Final = "There is no such response, or it belongs to another source."
_ID: Final = re.compile(r"rsp_[0-9a-z]{26}")


@router.get(
    "/v1/responses",
    dependencies=[EachOnce],
    summary="List responses, the latest first",
    responses={200: {"content": {"application/json": {"schema": schema_of(ListOut)}}}},
)
async def list_responses(  # noqa: PLR0917 - FastAPI passes them by name
    request: Request,
    caller: Reader,
    page: Paged,
    state: Annotated[State | None, Query()] = None,
    source: Annotated[str | None, Query(max_length=200)] = None,
    external_id: Annotated[str | None, Query(max_length=1_000)] = None,
) -> JSONResponse:
    """List what was received; a posting key sees its own source only."""
    ingest = resources(request, Ingest)
    own = own_source(caller)
    filters = f"responses {state!r} {source!r} {external_id!r} {own!r}"
    after = page.after(ingest.keyring, of=filters)
    rows: list[store.StoredResponse] = []
    known: Mapping[str, str | None] = {}
    sayable = all(text is None or text.isprintable() for text in (source, external_id))
    if sayable and (own is None or source in {None, own}):
        async with ingest.database.reading() as view:
            rows = await store.list_responses(
                view,
                state=state,
                source=own or source,
                external_id=None if external_id is None else _keyed(ingest, tidy(external_id)),
                before=after[0] if after else None,
                limit=page.limit + 1,
            )
            known = await external_ids_of(view, ingest.person_keys, rows)
    return JSONResponse(
        listed(
            rows,
            page,
            show=lambda row: shown(row, known[row.id]),
            key=lambda row: [row.id],
            keyring=ingest.keyring,
            of=filters,
        )
    )


@router.get(
    "/v1/responses/{response_id}",
    dependencies=[EachOnce],
    summary="Where one response stands",
    responses={200: {"content": {"application/json": {"schema": schema_of(ResponseOut)}}}},
)
async def get_response(request: Request, response_id: str, caller: Reader) -> JSONResponse:
    """Say what became of a response."""
    ingest = resources(request, Ingest)
    own = own_source(caller)
    found = None
    known: Mapping[str, str | None] = {}
    if _ID.fullmatch(response_id):
        async with ingest.database.reading() as view:
            found = await store.find_response(view, response_id)
            known = await external_ids_of(view, ingest.person_keys, [found] if found else [])
    if found is None or (own is not None and found.source != own):
        raise NotFound(_NONE)
    return JSONResponse(shown(found, known[found.id]))


def _keyed(ingest: Ingest, external_id: str) -> tuple[str, str]:
    return external_id, store.natural_key_of(ingest.keyring, external_id)


def shown(response: store.StoredResponse, external_id: str | None) -> Mapping[str, Any]:
    """Return a response as it goes over the wire."""
    metric = response.clear.get("metric", "nps")
    score = response.clear.get("score")
    return {
        "id": response.id,
        "source": response.source,
        "external_id": external_id,
        "revision": response.revision,
        "received_at": _time(response.received_at),
        "answered_at": _time(response.answered_at),
        "metric": metric,
        "score": score,
        "category": category_of(metric, score),
        "state": response.state,
        "reason": response.reason,
        "task_id": response.task_id,
        "themes": list(response.themes),
    }


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
