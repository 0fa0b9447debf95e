"""``/v1/discoveries``: what customers talk about that no theme covers yet."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.loop.resources import Loop
from services.loop.themes.api.discovery_documents import (
    AdoptedOut,
    AdoptIn,
    DiscoveryDetail,
    DiscoveryList,
    DiscoveryOut,
    shown,
    shown_in_detail,
    shown_nights,
    shown_watch,
)
from services.loop.themes.domain.discoveries import Discovery
from services.loop.themes.handlers.discoveries import (
    adopt,
    dismiss,
    get_discovery,
    nights,
    restore,
    shown_discoveries,
    typical_voices,
    watch_other,
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

router = APIRouter(prefix="/v1/discoveries", tags=["themes"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.THEMES_READ))]
_Writer = Annotated[Principal, Depends(requires(Scope.TAXONOMY_WRITE))]
_State = Annotated[
    Literal["shown", "adopted", "dismissed"],
    Query(description="what was decided; “shown” are those that nobody has decided about"),
]
_REPLAYS = "/v1/taxonomy/replays"


@router.get(
    "", response_model=DiscoveryList, summary="List what customers talk about without a theme"
)
async def get_discoveries(
    request: Request, caller: _Reader, page: Paged, state: _State = "shown"
) -> dict[str, object]:
    """List groups of comments that no theme covers, and how much no theme covers at all."""
    loop = resources(request, Loop)
    of = f"discoveries?{state}"
    after = page.after(loop.keyring, of=of)
    async with loop.database.reading() as view:
        rows = await shown_discoveries(
            view,
            state,
            after=(int(after[0]), after[1]) if after else None,
            most=page.limit + 1,
        )
        voices = await typical_voices(
            view, loop.person_keys, rows, readable=caller.may(Scope.TASKS_READ)
        )
        found = await nights(view)
        watch = await watch_other(view, today=loop.clock.now().date())
    return {
        **shown_nights(found),
        "without_theme": shown_watch(watch),
        **listed(
            rows,
            page,
            show=lambda one: shown_in_detail(one, voices[one.id], caller),
            key=lambda one: [one.size, one.id],
            keyring=loop.keyring,
            of=of,
        ),
    }


@router.get(
    "/{discovery_id}",
    summary="Read a group of comments without a theme",
    responses={200: {"model": DiscoveryDetail}},
)
async def get_one(request: Request, discovery_id: str, caller: _Reader) -> JSONResponse:
    """Return one group with comments that show what it is about; its version is the ETag."""
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        one = await get_discovery(view, discovery_id)
        voices = await typical_voices(
            view, loop.person_keys, [one], readable=caller.may(Scope.TASKS_READ)
        )
    found = DiscoveryDetail.model_validate(shown_in_detail(one, voices[one.id], caller))
    return JSONResponse(found.model_dump(mode="json"), headers={"ETag": etag(one.version)})


@router.post(
    "/{discovery_id}/adopt",
    summary="Make a theme of a group",
    openapi_extra=body_of(AdoptIn),
    responses={200: {"model": AdoptedOut}},
)
async def post_adopt(
    request: Request, discovery_id: str, caller: _Writer, once: Once
) -> Response:
    """Put a new version of the taxonomy into use, with the words of the group as keywords.

    The theme is looked for in what arrives from now on; older comments get it when history is
    gone through again.
    """
    sent = await read_as(request, AdoptIn)
    loop = resources(request, Loop)
    expected = expected_version(request)

    async def act(tx: Transaction) -> Answer:
        adopted = await adopt(
            tx,
            discovery_id,
            name=sent.name,
            department_id=sent.department,
            theme_id=sent.id,
            expected=expected,
            by=caller,
            now=loop.clock.now(),
        )
        return _answer(adopted, AdoptedOut, replays=_REPLAYS)

    return await once.act(loop.database, act, by=caller, meaning=sent)


@router.post(
    "/{discovery_id}/dismiss",
    summary="Show a group no more",
    responses={200: {"model": DiscoveryOut}},
)
async def post_dismiss(
    request: Request, discovery_id: str, caller: _Writer, once: Once
) -> Response:
    """Dismiss a group; found again it stays dismissed, and it can be restored."""
    loop = resources(request, Loop)
    expected = expected_version(request)

    async def act(tx: Transaction) -> Answer:
        now = loop.clock.now()
        return _answer(
            await dismiss(tx, discovery_id, expected=expected, by=caller, now=now), DiscoveryOut
        )

    return await once.act(loop.database, act, by=caller)


@router.post(
    "/{discovery_id}/restore",
    summary="Show a dismissed group again",
    responses={200: {"model": DiscoveryOut}},
)
async def post_restore(
    request: Request, discovery_id: str, caller: _Writer, once: Once
) -> Response:
    """Take back that a group was dismissed."""
    loop = resources(request, Loop)
    expected = expected_version(request)

    async def act(tx: Transaction) -> Answer:
        now = loop.clock.now()
        return _answer(
            await restore(tx, discovery_id, expected=expected, by=caller, now=now), DiscoveryOut
        )

    return await once.act(loop.database, act, by=caller)


def _answer(one: Discovery, kind: type[DiscoveryOut], **more: object) -> Answer:
    found = kind.model_validate({**shown(one), **more})
    return Answer(body=found.model_dump(mode="json"), headers={"ETag": etag(one.version)})
