"""``/v1/outer-items``: what was proposed to be looked into, and what people decided."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from services.loop.resources import Loop
from services.loop.themes.api.riser_documents import (
    AcceptIn,
    DismissIn,
    MergeIn,
    OuterItemList,
    OuterItemOut,
    shown_item,
)
from services.loop.themes.domain.outer_items import OuterItem, State
from services.loop.themes.handlers.outer_items import (
    accept_item,
    dismiss_item,
    find_outer_item,
    list_outer_items,
    merge_item,
    reopen_item,
)
from shared.db.transaction import Transaction
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce
from shared.web.versions import etag, expected_version

router = APIRouter(prefix="/v1/outer-items", tags=["themes"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.THEMES_READ))]
_Decider = Annotated[Principal, Depends(requires(Scope.TASKS_WRITE))]
_Filter = Annotated[str | None, Query(min_length=1, max_length=200)]
_ITEM: Final[dict[int | str, dict[str, Any]]] = {200: {"model": OuterItemOut}}


@router.get("", response_model=OuterItemList, summary="List what is to be looked into")
async def get_items(
    request: Request,
    _caller: _Reader,
    page: Paged,
    *,
    state: State | None = None,
    department: _Filter = None,
    theme: _Filter = None,
) -> dict[str, object]:
    """List what was proposed because a theme rose, the latest first."""
    loop = resources(request, Loop)
    of = f"outer-items?{state}&{department}&{theme}"
    after = page.after(loop.keyring, of=of)
    async with loop.database.reading() as view:
        rows = await list_outer_items(
            view,
            state=state,
            department=department,
            theme_id=theme,
            after=(datetime.fromisoformat(after[0]), after[1]) if after else None,
            most=page.limit + 1,
        )
    return listed(
        rows,
        page,
        show=shown_item,
        key=lambda item: [item.proposed_at.isoformat(), item.id],
        keyring=loop.keyring,
        of=of,
    )


@router.get("/{item_id}", summary="Read what is to be looked into", responses=_ITEM)
async def get_item(request: Request, item_id: str, _caller: _Reader) -> JSONResponse:
    """Return one item with what speaks for it; its version is the ETag."""
    async with resources(request, Loop).database.reading() as view:
        answer = _answer(await find_outer_item(view, item_id))
    return JSONResponse(answer.body, headers=dict(answer.headers))


@router.post(
    "/{item_id}/accept",
    summary="Look into it",
    openapi_extra=body_of(AcceptIn),
    responses=_ITEM,
)
async def post_accept(request: Request, item_id: str, caller: _Decider, once: Once) -> Response:
    """Accept a proposal, for the head of its theme's department or whoever is named.

    This and the other acts are for that head, for whoever stands in, and for those who may
    change the taxonomy.
    """
    sent = await read_as(request, AcceptIn)
    loop, expected = resources(request, Loop), expected_version(request)

    async def act(tx: Transaction) -> Answer:
        owner = sent.owner.ref() if sent.owner else None
        return _answer(
            await accept_item(
                tx, item_id, owner=owner, expected=expected, by=caller, now=loop.clock.now()
            )
        )

    return await once.act(loop.database, act, by=caller, meaning=sent)


@router.post(
    "/{item_id}/dismiss",
    summary="Do not look into it",
    openapi_extra=body_of(DismissIn),
    responses=_ITEM,
)
async def post_dismiss(
    request: Request, item_id: str, caller: _Decider, once: Once
) -> Response:
    """Dismiss an item; for eight weeks after its last rise the theme is not proposed again."""
    sent = await read_as(request, DismissIn)
    loop, expected = resources(request, Loop), expected_version(request)

    async def act(tx: Transaction) -> Answer:
        return _answer(
            await dismiss_item(
                tx,
                item_id,
                reason=sent.reason,
                expected=expected,
                by=caller,
                now=loop.clock.now(),
            )
        )

    return await once.act(loop.database, act, by=caller, meaning=sent)


@router.post(
    "/{item_id}/merge",
    summary="Make it a part of another item",
    openapi_extra=body_of(MergeIn),
    responses=_ITEM,
)
async def post_merge(request: Request, item_id: str, caller: _Decider, once: Once) -> Response:
    """Merge an item into another open one: two themes, one thing to look into."""
    sent = await read_as(request, MergeIn)
    loop, expected = resources(request, Loop), expected_version(request)

    async def act(tx: Transaction) -> Answer:
        return _answer(
            await merge_item(
                tx,
                item_id,
                into=sent.into,
                expected=expected,
                by=caller,
                now=loop.clock.now(),
            )
        )

    return await once.act(loop.database, act, by=caller, meaning=sent)


@router.post("/{item_id}/reopen", summary="Take a decision back", responses=_ITEM)
async def post_reopen(request: Request, item_id: str, caller: _Decider, once: Once) -> Response:
    """Propose an item again that was accepted, dismissed or merged."""
    loop, expected = resources(request, Loop), expected_version(request)

    async def act(tx: Transaction) -> Answer:
        return _answer(
            await reopen_item(tx, item_id, expected=expected, by=caller, now=loop.clock.now())
        )

    return await once.act(loop.database, act, by=caller, meaning=None)


def _answer(item: OuterItem) -> Answer:
    document = OuterItemOut.model_validate(shown_item(item))
    return Answer(
        status=200,
        body=document.model_dump(mode="json", by_alias=True),
        headers={"ETag": etag(item.version)},
    )
